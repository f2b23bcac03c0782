// Functions with landing pads, without a C++ compiler: built with -fexceptions.
#include <setjmp.h>
#include <stdlib.h>

jmp_buf buffer;
volatile int cleaned;

static void clean(int *value) { cleaned += *value; }

__attribute__((noipa)) void calls(int n) { if (n) longjmp(buffer, n); }

__attribute__((noipa)) int cleans(int n) {
  __attribute__((cleanup(clean))) int value = n;
  calls(n);
  return value;
}

__attribute__((noipa)) int plain(int n) { calls(n); return n; }

int main(int argc, char **argv) {
  (void)argv;
  if (!setjmp(buffer)) return cleans(argc) + plain(argc);
  return cleaned;
}
