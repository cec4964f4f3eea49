// IEEE 754 half precision: conversion of arrays, by the processor where it can.

#ifndef CAFFE_ALLREDUCE_HALF_HPP_
#define CAFFE_ALLREDUCE_HALF_HPP_

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace allreduce {

struct Half {
  uint16_t bits;
};

// Rounds to the nearest, ties to even, as the processor does.
inline Half to_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u | ((bits >> 13) & 0x1ffu))};
  if (bits >= 0x47800000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // 65536 and above
  uint32_t rounded;
  if (bits < 0x38800000u) {
    // Below 2^-14: a multiple of 2^-24. The sum with 0.5 puts it into the lowest bits of a float, rounded.
    float small;
    std::memcpy(&small, &bits, sizeof small);
    small += 0.5f;
    std::memcpy(&rounded, &small, sizeof rounded);
    rounded -= 0x3f000000u;
  } else {
    rounded = (bits + 0xfffu + ((bits >> 13) & 1u) - 0x38000000u) >> 13;
  }
  return {static_cast<uint16_t>(sign | rounded)};
}

inline float to_float(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
  uint32_t bits;
  if (rest >= 0x7c00u) {
    bits = 0x7f800000u | ((rest & 0x3ffu) << 13) | (rest > 0x7c00u ? 0x400000u : 0);
  } else if (rest >= 0x400u) {
    bits = (rest << 13) + 0x38000000u;
  } else {
    const float small = static_cast<float>(rest) * (1.0f / 16777216.0f);
    std::memcpy(&bits, &small, sizeof bits);
  }
  bits |= sign;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

#if defined(__x86_64__)
// Every processor with AVX2 has F16C.
inline bool converts() {
  static const bool known = __builtin_cpu_supports("avx2");
  return known;
}

__attribute__((target("avx,f16c"))) inline size_t encode_by_8(Half* to, const float* from, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), 0));
  }
  return i;
}

__attribute__((target("avx,f16c"))) inline size_t decode_by_8(float* to, const Half* from, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  return i;
}
#else
inline bool converts() { return false; }
inline size_t encode_by_8(Half*, const float*, size_t) { return 0; }
inline size_t decode_by_8(float*, const Half*, size_t) { return 0; }
#endif

inline void copy(Half* to, const float* from, size_t count) {
  size_t i = converts() ? encode_by_8(to, from, count) : 0;
  for (; i < count; ++i) to[i] = to_half(from[i]);
}

inline void copy(float* to, const Half* from, size_t count) {
  size_t i = converts() ? decode_by_8(to, from, count) : 0;
  for (; i < count; ++i) to[i] = to_float(from[i]);
}

template <typename T>
void copy(T* to, const T* from, size_t count) {
  if (to != from) std::memcpy(to, from, count * sizeof(T));
}

}  // namespace allreduce

#endif  // CAFFE_ALLREDUCE_HALF_HPP_
