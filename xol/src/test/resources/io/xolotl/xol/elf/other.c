static __attribute__((noinline)) int duplicate(int x) { return x * 11; }
int eclipsed(int x) { return x * 13; }

int (*duplicate_of_other(void))(int) { return duplicate; }
int (*eclipsed_of_other(void))(int) { return eclipsed; }
