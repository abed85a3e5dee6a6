-- A letter and what stands on it are one code point or two (Unicode's NFC and NFD), and look the same: words are compared as NFC has them.
-- What was indexed before keeps its words until it is edited: of texts in NFC, which nearly all are, they are the same.

-- Most texts are ASCII, which is told by their lengths at a tenth of the cost.
create function messaging.composed(said text) returns text language sql immutable parallel safe as $$
    select case
        when octet_length(said) = char_length(said) then said
        when said is nfc normalized then said
        else normalize(said, nfc)
    end
$$;
comment on function messaging.composed(text) is 'a text with one code point where one stands for several';

-- What a word has more of in NFC, and in lower case, is as much again at the most.
create or replace function messaging.words_of(said text, longest integer) returns text[] language sql immutable parallel safe as $$
    select case when longest < 1000
        then array_remove(string_to_array(
            lower(regexp_replace(messaging.composed(said) collate pg_catalog.pg_c_utf8, '[^[:alnum:] ]+', ' ', 'g')), ' '), '')
        else messaging.that_fit(string_to_array(
            lower(regexp_replace(messaging.composed(said) collate pg_catalog.pg_c_utf8, '[^[:alnum:] ]+', ' ', 'g')), ' '))
        end
$$;
