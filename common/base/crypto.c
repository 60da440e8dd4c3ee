#include "crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

#include "bytes.h"

void crypto_random(void *out, size_t len) {
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

// Fetched once: a search for the algorithm costs more than the hash of a short text.
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac_sha256; // without a key
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac_sha256 = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    if (!sha256 || !hmac_sha256 || EVP_MAC_CTX_set_params(hmac_sha256, params) != 1)
        abort();
    EVP_MAC_free(hmac); // the context keeps it
}

void crypto_sha256(const void *data, size_t len, uint8_t out[32]) {
    pthread_once(&fetched, fetch);
    if (EVP_Digest(data, len, out, NULL, sha256, NULL) != 1)
        abort();
}

void crypto_sha1_hex(const void *data, size_t len, char out[41]) {
    uint8_t digest[20];
    if (EVP_Digest(data, len, digest, NULL, EVP_sha1(), NULL) != 1)
        abort();
    hex_encode(digest, sizeof(digest), out);
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        uint8_t out[32]) {
    pthread_once(&fetched, fetch);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(hmac_sha256);
    if (!mac || EVP_MAC_init(mac, key, key_len, NULL) != 1 || EVP_MAC_update(mac, data, len) != 1 ||
        EVP_MAC_final(mac, out, NULL, 32) != 1)
        abort();
    EVP_MAC_CTX_free(mac);
}

bool crypto_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

static void sip_rounds(uint64_t v[4], int rounds) {
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[3];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[2] = rotate_left(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t siphash(const uint8_t key[16], const void *data, size_t len) {
    const uint8_t *at = data;
    uint64_t k0 = le_get(key, 8), k1 = le_get(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8)
        sip_word(v, le_get(at, 8));
    sip_word(v, (uint64_t)len << 56 | (left > 0 ? le_get(at, left) : 0));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const uint8_t bucket_key[16] = {0};

uint32_t bucket_of_user(const char *user, size_t len) {
    return (uint32_t)(siphash(bucket_key, user, len) & 1023);
}

uint32_t mark_of_user(const char *user, size_t len) {
    return (uint32_t)(siphash(bucket_key, user, len) >> 10 & USER_MARK_MAX);
}
