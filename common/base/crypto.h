// The little cryptography that Hawser needs, on OpenSSL, and SipHash for tables whose keys a client
// chooses.
#ifndef HW_CRYPTO_H
#define HW_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void crypto_random(void *out, size_t len); // from the kernel; aborts if it has none
void crypto_sha256(const void *data, size_t len, uint8_t out[32]);
// For what others define by it (Redis names scripts so), never for security. out: 40 hex digits and
// a NUL.
void crypto_sha1_hex(const void *data, size_t len, char out[41]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        uint8_t out[32]);
bool crypto_equal(const void *a, const void *b, size_t len); // constant time

// SipHash-2-4 (Aumasson and Bernstein) with a 128-bit key.
uint64_t siphash(const uint8_t key[16], const void *data, size_t len);

// The bucket of a user, 0..1023: the same in every daemon and version (first 10 bits of SHA-256
// would cost more; this is SipHash under an all-zero key, which is enough because a bucket is no
// secret and an overfull one only slows itself).
uint32_t bucket_of_user(const char *user, size_t len);
// What tells a user from most others of the bucket, 0..USER_MARK_MAX: further bits of the same.
enum { USER_BUCKETS = 1024, USER_MARK_MAX = (1 << 14) - 1 };
uint32_t mark_of_user(const char *user, size_t len);

#endif
