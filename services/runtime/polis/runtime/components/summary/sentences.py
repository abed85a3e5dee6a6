"""The sentences of a mail or text worth saying again: unwrapped, split by the rules of their language, without greetings."""

from __future__ import annotations

import re

import sentencex

from polis.runtime.components.summary.languages import UNSPACED

MAX_CHARS = 100_000
"""Characters of a text that are looked at."""
MAX_SENTENCE_CHARS = 600
"""What is longer is a table or a log, not a sentence."""
MIN_WORDS = 3
MIN_UNSPACED = 6
WRAPPED_CHARS = 45
"""A line this long that ends without a full stop goes on in the next."""

_PARAGRAPHS = re.compile(r"\n\s*\n")
_LIST_ITEM = re.compile(r"\s*(?:[-*•‣·]|\d{1,2}[.)])\s+")
_SPACE = re.compile(r"\s+")
_END = re.compile(r"[.!?:;。\uff01\uff1f…]['\")\]]*$")
_IDEOGRAPHIC_STOP = re.compile(r"(?<=[。\uff01\uff1f])(?=\w)")
"""It ends a sentence also before a digit, where sentencex goes on."""
_LETTER = re.compile(r"[^\W\d_]")
_URL = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|greetings|hallo|hi|liebe[rs]?|lieber|sehr geehrte[rs]?|guten (?:tag|morgen|abend)"
    r"|moin|servus|grüezi|bonjour|bonsoir|salut|cher|chère|chers|hola|buenos días|buenas tardes|estimad[oa]s?|ciao|buongiorno|gentile|caro|cara"
    r"|beste|geachte|olá|bom dia|prezad[oa]|hej|kære)\b[^.!?\n]{0,60}[,!.:]?$"
    r"|(?:.{0,30}(?:様|さん|さま|御中|各位))[、。]?$|(?:いつも)?(?:大変)?お世話になって(?:おります|います)。?$|お疲れ様です。?$",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:i hope (?:this|you|all|your)\b.{0,60}(?:well|finds you|weekend|week|day|holidays?)\b.{0,20}|hope you(?:'re| are).{0,40}|(?:many |)thanks?(?: you)?\b.{0,60}|looking forward to\b.{0,60}"
    r"|(?:please )?(?:do not|don't) hesitate to\b.{0,80}|let me know if you have (?:any )?questions.{0,40}|have a (?:nice|great|good)\b.{0,40}"
    r"|(?:vielen|besten|herzlichen) dank\b.{0,60}|danke\b.{0,60}|ich hoffe,? (?:es|ihnen|dir)\b.{0,40}gut.{0,20}|ich freue mich auf\b.{0,60}|schönes wochenende.{0,20}"
    r"|(?:bei|für) (?:rück)?fragen .{0,80}|merci\b.{0,60}|j'espère que vous allez bien.{0,20}|(?:best|kind|warm) (?:regards|wishes).{0,40}"
    r"|(?:mit )?freundlichen grüßen.{0,40}|(?:bien )?cordialement.{0,20}|(?:どうぞ)?(?:よろしく|宜しく)お願い(?:いた|致)?し(?:ます|申し上げます).{0,6}"
    r"|unsubscribe.{0,80}|view (?:this email )?in (?:your )?browser.{0,40}|this (?:e-?mail|message) (?:is|was|may|contains)\b.{0,200})[.!。]*$",
    re.IGNORECASE,
)


def sentences(text: str, language: str) -> list[str]:
    """The sentences in order, each on one line and in its own words."""
    found: list[str] = []
    for paragraph in _PARAGRAPHS.split(text[:MAX_CHARS]):
        for block in _unwrapped(paragraph):
            for part in sentencex.segment(language, block):
                found += [_SPACE.sub(" ", piece).strip() for piece in _IDEOGRAPHIC_STOP.split(part)]
    return [sentence for sentence in found if _says_something(sentence)]


def _unwrapped(paragraph: str) -> list[str]:
    """Lines that a mail program broke are joined; list items and short lines stay alone."""
    blocks: list[str] = []
    open_ = False
    for raw in paragraph.split("\n"):
        line = raw.strip()
        if not line:
            continue
        item = _LIST_ITEM.match(line)
        if open_ and item is None:
            glue = "" if UNSPACED.match(blocks[-1][-1]) else " "
            blocks[-1] += glue + line
        else:
            blocks.append(line[item.end() :] if item else line)
        open_ = (len(line) >= WRAPPED_CHARS or bool(item)) and not _END.search(line)
    return [block for block in blocks if block]


def _says_something(sentence: str) -> bool:
    if len(sentence) > MAX_SENTENCE_CHARS or _GREETING.match(sentence) or _COURTESY.match(sentence):
        return False
    words = _URL.sub("", sentence)
    if not _LETTER.search(words):
        return False
    return len(words.split()) >= MIN_WORDS or sum(map(len, UNSPACED.findall(words))) >= MIN_UNSPACED
