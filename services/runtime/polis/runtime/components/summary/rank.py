"""Which sentences carry a text: biased LexRank on a TF-IDF graph, then maximal marginal relevance.

Erkan and Radev 2004 (LexRank, continuous form), Otterbacher, Erkan and Radev 2005 (the bias), Carbonell and Goldstein
1998 (MMR), Edmundson 1969 (position and title words). Plain Python: a text has some hundred sentences, and an array
library would cost the process more memory than all of this. Deterministic: ties go to the earlier sentence.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from msgspec import Struct

from polis.runtime.components.summary.languages import ALL, UNSPACED

DAMPING = 0.5
"""Share of a sentence's rank that comes from those that resemble it; the rest is its bias. Mails are short: many of their
sentences resemble no other and would starve with the 0.85 of the papers."""
ROUNDS = 60
ENOUGH = 1e-6
RELEVANCE = 0.6
"""Weight of rank against novelty when the next sentence is chosen."""
ALIKE = 0.05
"""Similarities below this are noise."""
STEM_CHARS = 7
"""Words are compared by their first letters: a stemmer for every language, and not a bad one."""
BEST_WORDS = (6, 32)
"""Sentences of this length say enough and are not lists."""
_WORD = re.compile(r"[^\W_]+")
_ASKS = re.compile(r"[?\uff1f]|(?:ください|でしょうか)。?\s*$")
_FIGURE = re.compile(r"\d")

Vector = dict[str, float]


class Sentence(Struct, frozen=True):
    """A sentence, its place in its mail or paragraph sequence, and how much its mail weighs."""

    text: str
    place: int = 0
    weight: float = 1.0


def key_sentences(all_: Sequence[Sentence], *, title: str, count: int, max_chars: int) -> list[int]:
    """The indices of the sentences to say, in the order of the text."""
    if not all_:
        return []
    vectors = _vectors([sentence.text for sentence in all_])
    graph = _graph(vectors)
    ranks = _ranks(graph, _biases(all_, frozenset(terms(title))))
    return sorted(_chosen(all_, graph, ranks, count, max_chars))


def terms(text: str) -> list[str]:
    """The words that carry content, as stems; of scripts without spaces every two neighbouring characters."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if UNSPACED.search(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif word not in ALL and (len(word) > 1 or word.isdigit()):
            found.append(word[:STEM_CHARS])
    return found


def _vectors(texts: Sequence[str]) -> list[Vector]:
    """Unit vectors of TF-IDF, the sentences themselves being the collection."""
    counted = [Counter(terms(text)) for text in texts]
    spread = Counter(term for counts in counted for term in counts)
    return [
        _unit({t: n * math.log(1 + len(texts) / spread[t]) for t, n in counts.items()}) for counts in counted
    ]


def _unit(vector: Vector) -> Vector:
    length = math.sqrt(sum(value * value for value in vector.values()))
    return {term: value / length for term, value in vector.items()} if length else {}


def _graph(vectors: Sequence[Vector]) -> list[dict[int, float]]:
    """Cosines of the sentences that share a word, found by the word."""
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    graph: list[dict[int, float]] = [{} for _ in vectors]
    for index, vector in enumerate(vectors):
        near: dict[int, float] = defaultdict(float)
        for term, value in vector.items():
            for other, weight in postings[term]:
                near[other] += value * weight
            postings[term].append((index, value))
        for other, similarity in near.items():
            if similarity > ALIKE:
                graph[index][other] = graph[other][index] = similarity
    return graph


def _biases(all_: Sequence[Sentence], title: frozenset[str]) -> list[float]:
    raw = [_bias(sentence, title) for sentence in all_]
    total = sum(raw)
    return [value / total for value in raw]


def _bias(sentence: Sentence, title: frozenset[str]) -> float:
    """What speaks for a sentence by itself: it comes early, asks, names a figure or a word of the title, fits."""
    words = terms(sentence.text)
    length = len(sentence.text.split()) if not UNSPACED.search(sentence.text) else len(sentence.text) // 3
    low, high = BEST_WORDS
    value = sentence.weight * (0.75 + 0.5 / (1 + sentence.place))
    value *= 1.7 if _ASKS.search(sentence.text) else 1.0
    value *= 1.3 if _FIGURE.search(sentence.text) else 1.0
    value *= 1 + 0.5 * min(1.0, len(title.intersection(words)) / 2)
    return value * (1.0 if low <= length <= high else 0.55)


def _ranks(graph: Sequence[dict[int, float]], biases: Sequence[float]) -> list[float]:
    """Power iteration; what a sentence without neighbours would pass on goes where the bias says."""
    sums = [sum(near.values()) for near in graph]
    ranks = list(biases)
    for _ in range(ROUNDS):
        loose = sum(rank for rank, total in zip(ranks, sums, strict=True) if not total)
        flow = [
            sum(ranks[other] * weight / sums[other] for other, weight in sorted(near.items()))
            for near in graph
        ]
        fresh = [
            (1 - DAMPING) * bias + DAMPING * (come + loose * bias)
            for bias, come in zip(biases, flow, strict=True)
        ]
        moved = sum(abs(new - old) for new, old in zip(fresh, ranks, strict=True))
        ranks = fresh
        if moved < ENOUGH:
            break
    return ranks


def _chosen(
    all_: Sequence[Sentence],
    graph: Sequence[dict[int, float]],
    ranks: Sequence[float],
    count: int,
    max_chars: int,
) -> list[int]:
    best = max(ranks)
    left = dict.fromkeys(sorted(range(len(all_)), key=lambda index: -ranks[index]))
    chosen: list[int] = []
    used = 0
    while left and len(chosen) < count:
        index = max(left, key=lambda i: (_worth(graph[i], ranks[i] / best, chosen), -i))
        del left[index]
        length = len(all_[index].text)
        novel = max((graph[index].get(other, 0.0) for other in chosen), default=0.0) < SAME
        if novel and (not chosen or used + length <= max_chars):
            chosen.append(index)
            used += length
    return chosen


SAME = 0.85
"""Sentences this alike say the same, so one is enough."""


def _worth(near: dict[int, float], rank: float, chosen: Sequence[int]) -> float:
    said = max((near.get(other, 0.0) for other in chosen), default=0.0)
    return RELEVANCE * rank - (1 - RELEVANCE) * said
