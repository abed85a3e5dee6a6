"""A mail's own words: without what it quotes, its signature, its legal footer and what the phone adds.

Line by line and in linear time, since mails are hostile input: the libraries for it match whole texts with patterns that
take seconds on a line made for them, take every dash for a signature, or bring an XML parser.
"""

from __future__ import annotations

import re

MAX_LINES = 4_000
MAX_LINE_CHARS = 1_000
SIGNATURE_LINES = 12
"""Lines behind a closing such as `Best regards` that are taken for a signature; with more, it is not one."""
SIGNATURE_LINE_CHARS = 80
ATTRIBUTION_LINES = 3
"""Lines over which `On ... wrote:` may be wrapped."""

_QUOTED = re.compile(r"\s*(?:>|\|\s)")
# Who wrote the quoted mail, by how the line ends: en, de, fr, es, it, pt, nl, sv, da, pl, ja.
_ATTRIBUTION_END = re.compile(
    r"(?:\bwrote|\bschrieb\b[^:]{0,120}|a écrit|escribió|ha scritto|escreveu|schreef\b[^:]{0,120}|geschreven|skrev\b[^:]{0,120}"
    r"|napisała?(?:\(a\))?|のメール|のメッセージ|wrote on [^:]{0,60})\s*[:\uff1a]\s*$",
    re.IGNORECASE,
)
_ATTRIBUTION_START = re.compile(
    r"\s*(?:on|am|le|el|il|em|op|den|dnia|w dniu)\b.*\d|\s*\d{4}[-/年.]", re.IGNORECASE
)
_ADDRESS = re.compile(r"<[^<>\s]{1,100}@[^<>\s]{1,100}>")
_ORIGINAL = re.compile(
    r"\s*(?:-{2,}|_{5,})\s*(?:original (?:message|appointment)|ursprüngliche nachricht|originalnachricht|message d'origine"
    r"|mensaje original|messaggio originale|mensagem original|oorspronkelijk bericht|oprindelig meddelelse"
    r"|元のメッセージ)\s*-*\s*$",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"\s*(?:-{2,}\s*)?(?:forwarded message|begin forwarded message|weitergeleitete nachricht|anfang der weitergeleiteten"
    r" (?:e-mail|nachricht)|message transféré|début du message réexpédié|mensaje reenviado|messaggio inoltrato"
    r"|doorgestuurd bericht|転送メッセージ)\s*:?\s*-*\s*$",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"\s*\*?(from|von|de|da|van|från|fra|差出人|sent|gesendet|envoyé|enviado(?: el)?|inviato|verzonden|skickat|date|datum|fecha|data"
    r"|送信日時|日付|to|an|à|para|a|aan|till|til|宛先|cc|kopie|subject|betreff|objet|asunto|oggetto|assunto|onderwerp|ämne|emne|件名"
    r"|reply-to|antwort an)\s*\*?\s*[:\uff1a]\*?\s",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[-_=*]{5,}\s*$")
_FROM = frozenset(("from", "von", "de", "da", "van", "från", "fra", "差出人"))
_SENTENCE = re.compile(r"(?:\S+\s+){3,}\S+[.?!]\s*$|.{7,}[。\uff1f\uff01]\s*$")
_SIGNATURE = re.compile(r"--\s?")
_CLOSING = re.compile(
    r"\s*(?:(?:best|kind|warm|kindest|warmest|many)?\s*(?:regards|wishes)|all the best|best|cheers|sincerely|yours(?: \w+)?"
    r"|thanks(?: (?:again|a lot|so much|in advance))?|thank you(?: (?:again|very much|in advance))?|many thanks|take care|talk soon"
    r"|(?:mit )?(?:freundlichen?|besten?|vielen|lieben?|herzlichen?|schönen?|viele|liebe|beste|herzliche|schöne)\s+(?:grüßen?"
    r"|grüssen?|gruß|gruss|dank)|grüße|gruß|danke|mfg|lg|vg|bg|hochachtungsvoll"
    r"|cordialement|bien cordialement|bien à (?:vous|toi)|cdlt|amicalement|à bientôt|merci(?: (?:d'avance|beaucoup))?"
    r"|saludos(?: cordiales)?|un saludo|atentamente|gracias|cordiali saluti|saluti|grazie|abraços?|atenciosamente|obrigad[oa]"
    r"|met vriendelijke groet(?:en)?|groet(?:en|jes)?|med vänlig(?:a)? hälsning(?:ar)?|med venlig hilsen|hilsen|hälsningar"
    r"|pozdrawiam|よろしくお願い(?:いた)?し(?:ます|申し上げます)|どうぞよろしくお願いいたします|敬具)"
    r"(?:\s+(?:from|aus|de|nach|und)\s+[\w äöüß]{1,30})?\s*[,.!、。~-]*\s*$",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"\s*(?:sent (?:from|with|via) (?:my|mail|outlook|yahoo|proton|gmail|the)\b.{0,80}|get outlook for .{0,60}|(?:von|gesendet von|diese nachricht wurde von)"
    r" (?:meinem|meiner|mein|outlook)\b.{0,80}|envoyé (?:de|depuis) (?:mon|outlook|yahoo)\b.{0,80}|enviado desde mi\b.{0,60}|inviato da(?:l mio)?\b.{0,60}"
    r"|verstuurd vanaf\b.{0,60}|skickat från\b.{0,60}|iPhoneから送信|.{0,30}から送信)\s*$",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"\s*[*(_]*(?:(?:confidentiality|legal|privacy) (?:notice|note)|disclaimer|confidential\s*:|this (?:e-?mail|message|communication)\b.{0,80}"
    r"\b(?:confidential|intended|privileged)|the information (?:contained )?in this (?:e-?mail|message)|if you (?:are not the intended|have received"
    r" this (?:e-?mail|message) in error)|please consider the environment|diese (?:e-?mail|nachricht)\b.{0,80}\bvertraulich"
    r"|der inhalt dieser e-?mail|ce (?:message|courriel|mail)\b.{0,120}\bconfidentiel|este (?:mensaje|correo)\b.{0,80}\bconfidencial"
    r"|本(?:メール|電子メール)(?:に|は).{0,60}(?:機密|秘密))",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\n{3,}")


def own_words(text: str) -> str:
    """What the writer of a mail added to what was said before; forwarded text counts as said by the writer."""
    lines = [line[:MAX_LINE_CHARS].rstrip() for line in text.split("\n", MAX_LINES)[:MAX_LINES]]
    lines = _without_quotes(_forwarded_opened(lines))
    lines = _without_legal(_without_signature(lines))
    kept = [line for line in lines if not _DEVICE.match(line)]
    while kept and (not kept[-1] or _SEPARATOR.match(kept[-1])):
        kept.pop()
    return _BLANKS.sub("\n\n", "\n".join(kept)).strip()


def _forwarded_opened(lines: list[str]) -> list[str]:
    """A forwarded mail loses its header and its quote marks, so that its text stays."""
    for number, line in enumerate(lines):
        if _QUOTED.match(line):
            return lines
        if _FORWARDED.match(line):
            return lines[:number] + _behind_header(_unquoted(lines[number + 1 :]))
    return lines


def _unquoted(lines: list[str]) -> list[str]:
    first = next((line for line in lines if line), "")
    if not first.startswith(">"):
        return lines
    return [line.removeprefix(">").removeprefix(" ") for line in lines]


def _behind_header(lines: list[str]) -> list[str]:
    """The lines behind a block such as `From: ... Date: ... Subject: ...`; wrapped fields belong to it."""
    start = next((number for number, line in enumerate(lines) if line), len(lines))
    return lines[_block_end(lines, start) :] if _fields(lines, start) >= 2 else lines


def _block_end(lines: list[str], start: int) -> int:
    return next((number for number in range(start, len(lines)) if not lines[number]), len(lines))


def _fields(lines: list[str], start: int) -> int:
    """How many of the next lines, up to an empty one, are header fields."""
    return sum(1 for line in lines[start : min(start + 8, _block_end(lines, start))] if _FIELD.match(line))


def _without_quotes(lines: list[str]) -> list[str]:
    kept: list[str] = []
    quoting = False
    at = 0
    while at < len(lines):
        line = lines[at]
        original = _original_begins(lines, at)
        if original and any(kept):
            break
        at = original or at + 1
        if original:
            continue  # nothing was said before it, so it is a forwarded mail
        if _QUOTED.match(line):
            if not quoting:
                _drop_attribution(kept)
            quoting = True
            continue
        quoting = quoting and not line
        kept.append(line)
        if _ends_attribution(kept) and not _is_quoted_next(lines, at):
            _drop_attribution(kept)
            break
    return kept


def _original_begins(lines: list[str], at: int) -> int:
    """Where the text of the original mail begins if its mark or its header, as Outlook puts it, is here; else 0."""
    if _ORIGINAL.match(lines[at]):
        return at + 1
    first = _FIELD.match(lines[at])
    if first is None or first[1].lower() not in _FROM or _fields(lines, at) < 3:
        return 0
    return _block_end(lines, at)


def _is_quoted_next(lines: list[str], number: int) -> bool:
    behind = next((line for line in lines[number:] if line), "")
    return _QUOTED.match(behind) is not None


def _ends_attribution(kept: list[str]) -> int:
    """How many lines at the end say who wrote the quoted mail and when; 0 for none."""
    if not _ATTRIBUTION_END.search(kept[-1][-200:]):
        return 0
    for count in range(1, min(ATTRIBUTION_LINES, len(kept)) + 1):
        if not kept[-count]:
            break
        if _ATTRIBUTION_START.match(" ".join(kept[-count:])):
            return count
    return 1 if _ADDRESS.search(kept[-1]) else 0


def _drop_attribution(kept: list[str]) -> None:
    while kept and not kept[-1]:
        kept.pop()
    if not kept:
        return
    count = _ends_attribution(kept) or (1 if _ATTRIBUTION_END.search(kept[-1][-200:]) else 0)
    del kept[len(kept) - count :]


def _without_signature(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if _SIGNATURE.fullmatch(line) or (
            number and _CLOSING.match(line) and _only_names(lines[number + 1 :])
        ):
            return lines[:number]
    return lines


def _only_names(lines: list[str]) -> bool:
    """Whether these lines are what stands under a closing: few, short, and no sentence before a legal footer."""
    said = 0
    for line in lines:
        if _LEGAL.match(line):
            break
        said += bool(line) and not _SEPARATOR.match(line)
        if said > SIGNATURE_LINES or len(line) > SIGNATURE_LINE_CHARS or _SENTENCE.search(line):
            return False
    return True


def _without_legal(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if number and _LEGAL.match(line):
            return lines[:number]
    return lines
