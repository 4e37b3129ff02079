// base/hash.h
// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4) for what must be verified, and a fast 64-bit hash (FNV-1a with a
// final mix) for tables in memory that no adversary can profit from filling.
#ifndef ORIEL_BASE_HASH_H
#define ORIEL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX   65 // with the final NUL

struct sha256 {
    uint32_t state[8];
    uint64_t total_bytes;
    unsigned char block[64];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *bytes, size_t len);
void sha256_final(struct sha256 *hash, unsigned char digest[SHA256_BYTES]);
void sha256_hex(const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX]);

// All at once.
void sha256_of(const void *bytes, size_t len, unsigned char digest[SHA256_BYTES]);

uint64_t hash_bytes(const void *bytes, size_t len);

#endif
