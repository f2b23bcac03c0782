/* Prints where its functions are, then waits. Linked with other.c and labels.s. */
#include <stdio.h>

int exported(int x) { return x + 1; }
int __exported_too(int x) __attribute__((alias("exported")));
int weak_name(int x) __attribute__((weak, alias("exported")));

int data_symbol = 1;
__thread int thread_local_symbol = 1;

static __attribute__((noinline)) int duplicate(int x) { return x * 3; }
int (*duplicate_of_other(void))(int);
static __attribute__((noinline)) int only_here(int x) { return x * 5; }

/* A local function that a global one of another file hides. */
static __attribute__((noinline)) int eclipsed(int x) { return x * 7; }
int (*eclipsed_of_other(void))(int);

static int first_choice(int x) { return x + 10; }
static int second_choice(int x) { return x + 20; }
static int (*choose(void))(int) { return data_symbol ? second_choice : first_choice; }
int chosen(int x) __attribute__((ifunc("choose")));

extern char label_sizeless[], label_next[], label_last[], label_inside[], outer[];

#define PRINT(name, address) printf("%s %p\n", name, (void *) (address))

int main(int argc, char **argv) {
  (void) argv;
  volatile int used = duplicate(argc) + only_here(argc) + eclipsed(argc) + chosen(argc) + exported(argc);
  PRINT("main", main);
  PRINT("exported", exported);
  PRINT("duplicate", duplicate);
  PRINT("duplicate_of_other", duplicate_of_other());
  PRINT("only_here", only_here);
  PRINT("eclipsed_of_other", eclipsed_of_other());
  PRINT("second_choice", second_choice);
  PRINT("label_sizeless", label_sizeless);
  PRINT("label_next", label_next);
  PRINT("label_last", label_last);
  PRINT("label_inside", label_inside);
  PRINT("outer", outer);
  puts("ready");
  fflush(stdout);
  return getchar() == EOF ? 0 : used & 0;
}
