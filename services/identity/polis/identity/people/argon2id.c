/* Fills Argon2id's memory (RFC 9106, 3.4 to 3.6; one lane) with AVX-512. What comes before and after is argon2id.py's.
 *
 * Blocks lie in memory in an order of their own, in which rows and columns mix without moving words between registers:
 * register 4q+j holds of the rows 2q and 2q+1 the 16-byte cells 2j and 2j+1, as (row 2q, 2q+1) of the one, then of the other.
 * Built for any x86-64 and for the processor asked when it runs, so that it may be taken to another machine.
 */
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/mman.h>

#define WORDS 128
#define REGISTERS 16
#define SLICES 4
#define AHEAD 4
#define VERSION_13_ID 2
#define FAST __attribute__((target("avx512f")))
#define INLINE static inline FAST __attribute__((always_inline))

typedef struct { uint64_t word[WORDS]; } __attribute__((aligned(64))) block;
typedef struct { block *memory; uint32_t blocks, segment, passes, pass, slice; } place;

static unsigned position(unsigned word) {
    unsigned row = word / 16, cell = word % 16 / 2;
    return (row / 2 * 4 + cell / 2) * 8 + cell % 2 * 4 + row % 2 * 2 + word % 2;
}

static void arrange(block *to, const uint8_t *from) {
    for (unsigned w = 0; w < WORDS; w++) memcpy(&to->word[position(w)], from + 8 * w, 8);
}

static void restore(uint8_t *to, const block *from) {
    for (unsigned w = 0; w < WORDS; w++) memcpy(to + 8 * w, &from->word[position(w)], 8);
}

INLINE __m512i load(const block *b, int i) { return _mm512_load_si512((const __m512i *)b->word + i); }
INLINE void store(block *b, int i, __m512i x) { _mm512_store_si512((__m512i *)b->word + i, x); }

INLINE __m512i added(__m512i x, __m512i y) {
    __m512i product = _mm512_mul_epu32(x, y);
    return _mm512_add_epi64(_mm512_add_epi64(x, y), _mm512_add_epi64(product, product));
}

#define ALL(i) _Pragma("GCC unroll 16") for (int i = 0; i < REGISTERS; i++)
#define FOUR(i) _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
#define ROTATED(x, y, bits) _mm512_ror_epi64(_mm512_xor_si512(x, y), bits)
#define MIX(a, b, c, d, first, second)                   \
    FOUR(i) { a(i) = added(a(i), b(i)); }                \
    FOUR(i) { d(i) = ROTATED(d(i), a(i), first); }       \
    FOUR(i) { c(i) = added(c(i), d(i)); }                \
    FOUR(i) { b(i) = ROTATED(b(i), c(i), second); }
#define TURN(b, c, d, by_1, by_2, by_3) \
    FOUR(i) { b(i) = by_1(b(i)); c(i) = by_2(c(i)); d(i) = by_3(d(i)); }
#define ROUNDS(a, b, c, d, by_1, by_2, by_3)                 \
    MIX(a, b, c, d, 32, 24) MIX(a, b, c, d, 16, 63)          \
    TURN(b, c, d, by_1, by_2, by_3)                          \
    MIX(a, b, c, d, 32, 24) MIX(a, b, c, d, 16, 63)          \
    TURN(b, c, d, by_3, by_2, by_1)

#define ROW_A(i) s[4 * (i)]
#define ROW_B(i) s[4 * (i) + 1]
#define ROW_C(i) s[4 * (i) + 2]
#define ROW_D(i) s[4 * (i) + 3]
#define ROW_BY_1(x) _mm512_permutexvar_epi64(one, x)
#define ROW_BY_2(x) _mm512_shuffle_i64x2(x, x, 0x4e)
#define ROW_BY_3(x) _mm512_permutexvar_epi64(three, x)
#define COLUMN_A(i) s[i]
#define COLUMN_B(i) s[4 + (i)]
#define COLUMN_C(i) s[8 + (i)]
#define COLUMN_D(i) s[12 + (i)]
#define COLUMN_BY_1(x) _mm512_permutex_epi64(x, 0x39)
#define COLUMN_BY_2(x) _mm512_permutex_epi64(x, 0x4e)
#define COLUMN_BY_3(x) _mm512_permutex_epi64(x, 0x93)

/* G(s, reference), over what `next` holds or in its place; the new block is in `next` and in the registers. */
INLINE void compress(__m512i *s, const block *reference, block *next, int over) {
    const __m512i one = _mm512_setr_epi64(1, 4, 3, 6, 5, 0, 7, 2);
    const __m512i three = _mm512_setr_epi64(5, 0, 7, 2, 1, 4, 3, 6);
    ALL(i) {
        s[i] = _mm512_xor_si512(s[i], load(reference, i));
        store(next, i, over ? _mm512_xor_si512(s[i], load(next, i)) : s[i]);
    }
    ROUNDS(ROW_A, ROW_B, ROW_C, ROW_D, ROW_BY_1, ROW_BY_2, ROW_BY_3)
    ROUNDS(COLUMN_A, COLUMN_B, COLUMN_C, COLUMN_D, COLUMN_BY_1, COLUMN_BY_2, COLUMN_BY_3)
    ALL(i) {
        s[i] = _mm512_xor_si512(s[i], load(next, i));
        store(next, i, s[i]);
    }
}

/* RFC 9106, 3.4.2: which block the i-th of this segment refers to. */
static inline uint32_t referred(const place *at, uint32_t i, uint32_t random) {
    uint32_t before = at->slice * at->segment;
    uint64_t area = (at->pass == 0 ? before : at->blocks - at->segment) + i - 1;
    uint64_t square = ((uint64_t)random * random) >> 32;
    uint32_t start = at->pass == 0 || at->slice == SLICES - 1 ? 0 : before + at->segment;
    uint32_t found = start + (uint32_t)(area - 1 - ((area * square) >> 32));
    return found >= at->blocks ? found - at->blocks : found;
}

INLINE uint32_t depending(const place *at, uint32_t first, __m512i *s, int over) {
    block *segment = at->memory + at->slice * at->segment;
    for (uint32_t i = first; i < at->segment; i++) {
        uint32_t random = (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(s[0]));
        compress(s, at->memory + referred(at, i, random), segment + i, over);
    }
    return at->segment;
}

/* The next 128 pseudo-random words of a segment that no password has a part in (3.4.1.2). */
FAST static void draw(block *words, block *counter) {
    __m512i s[REGISTERS];
    block half;
    counter->word[position(6)]++;
    ALL(i) s[i] = _mm512_setzero_si512();
    compress(s, counter, &half, 0);
    ALL(i) s[i] = _mm512_setzero_si512();
    compress(s, &half, words, 0);
}

/* Such a segment is known beforehand, so what it refers to is fetched a few blocks ahead. */
INLINE void independent(const place *at, uint32_t i, __m512i *s) {
    const uint64_t input[] = {at->pass, 0, at->slice, at->blocks, at->passes, VERSION_13_ID};
    block counter = {{0}}, words;
    block *segment = at->memory + at->slice * at->segment;
    for (unsigned w = 0; w < 6; w++) counter.word[position(w)] = input[w];
    for (uint32_t base = 0; base < at->segment; base += WORDS) {
        const block *refer[WORDS + AHEAD];
        uint32_t end = at->segment - base < WORDS ? at->segment - base : WORDS;
        uint32_t first = base < i ? i - base : 0;
        draw(&words, &counter);
        for (uint32_t n = first; n < end; n++)
            refer[n] = at->memory + referred(at, base + n, (uint32_t)words.word[position(n)]);
        for (uint32_t n = end; n < end + AHEAD; n++) refer[n] = refer[end - 1];
        for (uint32_t n = first; n < end; n++) {
            ALL(r) _mm_prefetch((const char *)refer[n + AHEAD] + 64 * r, _MM_HINT_T0);
            compress(s, refer[n], segment + base + n, 0);
        }
    }
}

FAST static void fill(place *at) {
    __m512i s[REGISTERS];
    ALL(i) s[i] = load(at->memory + 1, i);
    for (at->pass = 0; at->pass < at->passes; at->pass++) {
        for (at->slice = 0; at->slice < SLICES; at->slice++) {
            uint32_t first = at->pass == 0 && at->slice == 0 ? 2 : 0;
            if (at->pass > 0) depending(at, first, s, 1);
            else if (at->slice >= SLICES / 2) depending(at, first, s, 0);
            else independent(at, first, s);
        }
    }
}

int argon2id_runs_here(void) { return __builtin_cpu_supports("avx512f"); }

/* `ends`: the first two blocks, then room for the last one. `memory`: of argon2id_memory, for as many blocks. */
void argon2id_fill(void *memory, uint8_t *ends, uint32_t blocks, uint32_t passes) {
    place at = {memory, blocks, blocks / SLICES, passes, 0, 0};
    arrange(at.memory, ends);
    arrange(at.memory + 1, ends + sizeof(block));
    fill(&at);
    restore(ends + 2 * sizeof(block), at.memory + blocks - 1);
}

/* NULL if there is none. In pages of 2 MiB where the system has them: 4 KiB each would cost a fault each. */
void *argon2id_memory(uint32_t blocks) {
    size_t bytes = (size_t)blocks * sizeof(block);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

/* What passwords gave goes with it: the system clears pages before anybody gets them. */
void argon2id_release(void *memory, uint32_t blocks) { munmap(memory, (size_t)blocks * sizeof(block)); }

#else
int argon2id_runs_here(void) { return 0; }
#endif
