"""The function words of the languages that we tell apart: they name the language of a text and carry none of its content."""

from __future__ import annotations

import re

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the a an and or but if of to in on at by for with from as is are was were be been am i you he she it we they me him her"
        " us them my your his its our their this that these those not no so do does did have has had will would can could should may"
        " there here what which who when where how than then just also about into over out up down all any some more most very please"
        " thanks thank hi hello dear let get got",
        "de": "der die das den dem des ein eine einen einem einer eines und oder aber wenn von zu zum zur in im an am auf bei für mit"
        " aus als ist sind war waren sein bin ich du er sie es wir ihr mich mir dich dir uns euch mein dein unser ihre ihren ihrem"
        " dies diese dieser dieses nicht kein keine so doch noch auch nur habe hat haben hatte wird werden würde kann können könnte"
        " soll was wer wann wo wie dass da hier über um nach vor bis sehr bitte danke hallo guten tag schon mehr alle",
        "fr": "le la les un une des du de et ou mais si à au aux en dans sur par pour avec est sont était être suis je tu il elle on"
        " nous vous ils elles me te se mon ton son notre votre leur ce cet cette ces ne pas plus que qui quoi quand où comment dont y"
        " ai as a avons avez ont peut peux pouvez pourrait fait bien très aussi merci bonjour bonsoir",
        "es": "el la los las un una unos unas y o pero si de del a al en por para con es son era ser soy yo tú él ella nosotros ustedes"
        " me te se mi tu su nuestro este esta estos estas no más que quien cuando donde como ha han he hay puede muy también gracias"
        " hola buenos",
        "it": "il lo la i gli le un uno una e o ma se di del della a al alla in nel da per con è sono era essere io tu lui lei noi voi"
        " loro mi ti si mio tuo suo nostro questo questa questi non più che chi quando dove come ha hanno ho può molto anche grazie"
        " ciao buongiorno",
        "nl": "de het een en of maar als van naar in op aan bij voor met uit is zijn was waren ben ik jij hij zij wij jullie mij jou ons"
        " mijn jouw onze dit dat deze die niet geen zo ook nog heb heeft hebben had wordt kan kunnen zou wat wie wanneer waar hoe dan"
        " over om na tot zeer graag bedankt hallo",
        "pt": "o a os as um uma e ou mas se de do da dos das em no na por para com é são era ser sou eu você ele ela nós me te se meu"
        " seu nosso este esta isso não mais que quem quando onde como tem têm há pode muito também obrigado olá bom",
    }.items()
}
ALL = frozenset().union(*FUNCTION_WORDS.values())

KANA = re.compile(r"[\u3040-\u30ff]")
HAN = re.compile(r"[\u4e00-\u9fff]")
HANGUL = re.compile(r"[\uac00-\ud7af]")
CYRILLIC = re.compile(r"[\u0400-\u04ff]")
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")
"""Scripts that do not part words by spaces, or part them too finely to compare."""
_WORD = re.compile(r"[^\W\d_]+")
SAMPLE = 4_000
"""Characters that tell the language."""


def language_of(text: str) -> str:
    """ISO 639-1 code; `en` when nothing tells."""
    sample = text[:SAMPLE]
    for language, script in (("ja", KANA), ("ko", HANGUL), ("zh", HAN), ("ru", CYRILLIC)):
        if len(script.findall(sample)) * 10 > len(sample):
            return language
    words = [word.casefold() for word in _WORD.findall(sample)]
    counts = {language: sum(word in known for word in words) for language, known in FUNCTION_WORDS.items()}
    return max(counts, key=lambda language: (counts[language], language == "en"))
