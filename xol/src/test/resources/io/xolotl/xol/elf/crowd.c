// Maps one file as code very often; the file has many segments, which are all the same page.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEGMENTS = 190, PAGE = 4096 };

static char file[8 * PAGE];

int main(int argc, char **argv) {
  int times = atoi(argv[2]);
  Elf64_Ehdr *header = (Elf64_Ehdr *)file;
  *header = (Elf64_Ehdr){.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = 1, .e_phoff = sizeof *header,
    .e_ehsize = sizeof *header, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = SEGMENTS,
    .e_shoff = 6 * PAGE, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 2};
  memcpy(header->e_ident, "\177ELF\2\1\1", 7);
  Elf64_Phdr *segments = (Elf64_Phdr *)(header + 1);
  for (int i = 0; i < SEGMENTS; i++)
    segments[i] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, (long)i * PAGE, 0, PAGE, PAGE, PAGE};
  ((Elf64_Shdr *)(file + 6 * PAGE))[1] =
    (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_size = PAGE};
  int descriptor = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (write(descriptor, file, sizeof file) != sizeof file) return 1;
  char *at = (char *)0x200000000000;
  for (int i = 0; i < times; i++, at += 16 * PAGE)
    if (mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, descriptor, 0) != at) return 2;
  puts("end");
  fflush(stdout);
  return getchar() == EOF;
}
