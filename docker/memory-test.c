// Compares the functions of docker/memory.c with plain loops: every length to 400, at every alignment to
// 16 bytes, and every overlap of two ranges within 300 bytes. docker/build runs it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *__wrap_memmove(void *, const void *, size_t);
void *__wrap_memcpy(void *restrict, const void *restrict, size_t);
void *__wrap_memset(void *, int, size_t);
int __wrap_memcmp(const void *, const void *, size_t);
int __wrap_bcmp(const void *, const void *, size_t);

enum { SIZE = 1024, LENGTHS = 400, ALIGNMENTS = 16, OVERLAPS = 300 };

static uint8_t source[SIZE], got[SIZE], want[SIZE];

static void check(int holds, const char *what, size_t length, size_t offset) {
  if (!holds) {
    fprintf(stderr, "docker/memory.c: %s of %zu bytes at %zu is wrong\n", what, length, offset);
    exit(1);
  }
}

static void fill(void) {
  for (size_t i = 0; i < SIZE; i++) {
    source[i] = (uint8_t)(i * 167 + (i >> 8) + 1);
    got[i] = want[i] = (uint8_t)(i * 59 + 3);
  }
}

static int is_as_wanted(void) {
  for (size_t i = 0; i < SIZE; i++) {
    if (got[i] != want[i]) {
      return 0;
    }
  }
  return 1;
}

static int sign(int value) {
  return (value > 0) - (value < 0);
}

int main(void) {
  for (size_t length = 0; length <= LENGTHS; length++) {
    for (size_t offset = 0; offset < ALIGNMENTS; offset++) {
      fill();
      uint8_t *to = got + 64 + offset;
      const uint8_t *from = source + 100 + offset * 7 % ALIGNMENTS;
      for (size_t i = 0; i < length; i++) {
        want[64 + offset + i] = from[i];
      }
      check(__wrap_memcpy(to, from, length) == to && is_as_wanted(), "memcpy", length, offset);
      check(__wrap_memcmp(to, from, length) == 0, "memcmp", length, offset);
      for (size_t at = 0; at < length; at += 1 + length / 20) {
        for (int change = 1; change < 256; change += 127) {
          uint8_t kept = to[at];
          to[at] = (uint8_t)(kept + change);
          int wanted = sign(to[at] - from[at]);
          check(sign(__wrap_memcmp(to, from, length)) == wanted, "memcmp", length, at);
          check(sign(__wrap_memcmp(from, to, length)) == -wanted, "memcmp", length, at);
          check(__wrap_bcmp(to, from, length) != 0, "bcmp", length, at);
          to[at] = kept;
        }
      }
      fill();
      for (size_t i = 0; i < length; i++) {
        want[64 + offset + i] = 0xa5;
      }
      check(__wrap_memset(to, 0x7a5, length) == to && is_as_wanted(), "memset", length, offset);
    }
    for (size_t distance = 0; distance <= OVERLAPS; distance++) {
      for (int backward = 0; backward < 2; backward++) {
        fill();
        size_t from = backward ? 8 : 8 + distance, to = backward ? 8 + distance : 8;
        uint8_t kept[LENGTHS];
        for (size_t i = 0; i < length; i++) {
          kept[i] = got[from + i];
        }
        for (size_t i = 0; i < length; i++) {
          want[to + i] = kept[i];
        }
        check(__wrap_memmove(got + to, got + from, length) == got + to && is_as_wanted(), "memmove", length, distance);
      }
    }
  }
  return 0;
}
