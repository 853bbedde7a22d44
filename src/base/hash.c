#include "base/hash.h"

#include "base/clock.h"

#include <endian.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t drawn_key[2];

/* Before main(): a table may be made by another constructor's code, and never with two keys in one life. */
__attribute__((constructor)) static void draw_key(void)
{
    if (getrandom(drawn_key, sizeof(drawn_key), GRND_NONBLOCK) != sizeof(drawn_key)) {
        drawn_key[0] = clock_now_ns();
        drawn_key[1] = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&drawn_key;
    }
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void round_of(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    round_of(v);
    v[0] ^= word;
}

uint64_t hash_bytes(struct str bytes)
{
    return hash_keyed(drawn_key, bytes);
}

uint64_t hash_keyed(const uint64_t key[2], struct str bytes)
{
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word;
    size_t i = 0;

    for (; i + sizeof(word) <= bytes.n; i += sizeof(word)) {
        memcpy(&word, bytes.p + i, sizeof(word));
        take(v, le64toh(word));
    }
    word = 0;
    if (i < bytes.n) {
        memcpy(&word, bytes.p + i, bytes.n - i);
    }
    take(v, le64toh(word) | (uint64_t)bytes.n << 56);
    v[2] ^= 0xff;
    for (int n = 0; n < 3; n++) {
        round_of(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
