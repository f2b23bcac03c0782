/* The library that dlopener loads. Its constructor calls plug_work(). */

long plug_work(long x);
extern long plug_constructed;

long plug_constructed;

__attribute__((noipa)) long plug_work(long x)
{
    return 3 * x + 1;
}

__attribute__((constructor)) static void construct(void)
{
    plug_constructed = plug_work(1);
}
