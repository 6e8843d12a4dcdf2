// Copying, filling and comparing memory, for the static program.
//
// musl copies with `rep movs`, whose start alone takes longer than most copies, and compares byte by
// byte. glibc has code for each processor instead. The functions here need nothing beyond the 16-byte
// registers that every x86-64 and AArch64 processor has. docker/build links them in place of musl's
// (`--wrap`), and docker/memory-test.c compares them with a plain loop.
#include <stddef.h>
#include <stdint.h>

typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t bytes8 __attribute__((aligned(1), may_alias));
typedef uint32_t bytes4 __attribute__((aligned(1), may_alias));
typedef uint16_t bytes2 __attribute__((aligned(1), may_alias));

// AT(TYPE, ADDRESS): the value of TYPE at any ADDRESS.
#define AT(type, address) (*(type *)(address))

// COPY_ENDS(TYPE): copies the first and the last value of TYPE, which may overlap. Both are read
// before either is written, so source and target may overlap as well.
#define COPY_ENDS(type)                                            \
  do {                                                             \
    type first = AT(const type, from);                             \
    type last = AT(const type, from + length - sizeof(type));      \
    AT(type, to) = first;                                          \
    AT(type, to + length - sizeof(type)) = last;                   \
  } while (0)

typedef struct {
  bytes16 part[4];
} block;

static inline block load(const uint8_t *from) {
  return (block){{AT(const bytes16, from), AT(const bytes16, from + 16),
                  AT(const bytes16, from + 32), AT(const bytes16, from + 48)}};
}

static inline void store(uint8_t *to, block value) {
  AT(bytes16, to) = value.part[0];
  AT(bytes16, to + 16) = value.part[1];
  AT(bytes16, to + 32) = value.part[2];
  AT(bytes16, to + 48) = value.part[3];
}

static void copy_small(uint8_t *to, const uint8_t *from, size_t length) {
  if (length > 32) {
    bytes16 second = AT(const bytes16, from + 16);
    bytes16 last_but_one = AT(const bytes16, from + length - 32);
    COPY_ENDS(bytes16);
    AT(bytes16, to + 16) = second;
    AT(bytes16, to + length - 32) = last_but_one;
  } else if (length >= 16) {
    COPY_ENDS(bytes16);
  } else if (length >= 8) {
    COPY_ENDS(bytes8);
  } else if (length >= 4) {
    COPY_ENDS(bytes4);
  } else if (length >= 2) {
    COPY_ENDS(bytes2);
  } else if (length == 1) {
    *to = *from;
  }
}

void *__wrap_memmove(void *target, const void *source, size_t length) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if (length <= 64) {
    copy_small(to, from, length);
    return target;
  }
  // One test for "below the source or past its end": the difference wraps around.
  if ((uintptr_t)to - (uintptr_t)from >= length) {
    block last = load(from + length - 64);
    for (size_t done = 0; done + 64 < length; done += 64) {
      store(to + done, load(from + done));
    }
    store(to + length - 64, last);
  } else {
    block first = load(from);
    for (size_t left = length; left > 64; left -= 64) {
      store(to + left - 64, load(from + left - 64));
    }
    store(to, first);
  }
  return target;
}

void *__wrap_memcpy(void *restrict target, const void *restrict source, size_t length) {
  return __wrap_memmove(target, source, length);
}

void *__wrap_memset(void *target, int value, size_t length) {
  uint8_t *to = target;
  uint64_t repeated = (uint8_t)value * 0x0101010101010101u;
  if (length < 8) {
    for (size_t done = 0; done < length; done++) {
      // Not to become a call of memset again.
      *(volatile uint8_t *)(to + done) = (uint8_t)value;
    }
    return target;
  }
  if (length < 16) {
    AT(bytes8, to) = repeated;
    AT(bytes8, to + length - 8) = repeated;
    return target;
  }
  bytes16 wide = (bytes16)(uint64_t __attribute__((vector_size(16)))){repeated, repeated};
  for (size_t done = 0; done + 16 < length; done += 16) {
    AT(bytes16, to + done) = wide;
  }
  AT(bytes16, to + length - 16) = wide;
  return target;
}

// Compares two different values as the bytes that they are in memory (little endian).
static inline int compare(uint64_t left, uint64_t right) {
  return __builtin_bswap64(left) < __builtin_bswap64(right) ? -1 : 1;
}

int __wrap_memcmp(const void *one, const void *other, size_t length) {
  const uint8_t *left = one, *right = other;
  for (; length >= 8; length -= 8, left += 8, right += 8) {
    if (AT(const bytes8, left) != AT(const bytes8, right)) {
      return compare(AT(const bytes8, left), AT(const bytes8, right));
    }
  }
  for (; length > 0; length--, left++, right++) {
    if (*left != *right) {
      return *left - *right;
    }
  }
  return 0;
}

int __wrap_bcmp(const void *one, const void *other, size_t length) {
  return __wrap_memcmp(one, other, length);
}
