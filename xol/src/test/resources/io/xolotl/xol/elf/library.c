/* A library with versions, an IFUNC and a name that is no C identifier's first choice. */
int version_one(int x) { return x + 1; }
int version_two(int x) { return x + 2; }
__asm__(".symver version_one, versioned@LIB_1");
__asm__(".symver version_two, versioned@@LIB_2");

int orphan_one(int x) { return x + 3; }
int orphan_two(int x) { return x + 4; }
__asm__(".symver orphan_one, orphan@LIB_1");
__asm__(".symver orphan_two, orphan@LIB_2");

static int picked_first(int x) { return x + 5; }
static int picked_second(int x) { return x + 6; }
int library_state = 1;
static int (*pick(void))(int) { return picked_second; }
int picked(int x) __attribute__((ifunc("pick")));
/* Nothing calls this one, so no slot tells which implementation it has. */
int unpicked(int x) __attribute__((ifunc("pick_unpicked")));
static int (*pick_unpicked(void))(int) { return picked_first; }

int plain(int x) { return picked(x) + picked_first(x); }
void *picked_address(void) { return (void *) picked_second; }
