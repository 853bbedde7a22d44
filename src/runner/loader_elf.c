/*
 * Design notes. The file is mapped and nothing in it is believed: every offset is checked against its size before it
 * is followed. What the running library's own header says (class, byte order, machine) is what others must say too, so
 * that no list of machines is needed to refuse one; the list only gives them names.
 */
#include "runner/loader_elf.h"
#include "base/str.h"
#include "runner/loader_file.h"

#define MITE_IMPLEMENTATION
#include <mite/mite.h>

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULE_SYMBOL "mite_module"

struct image {
    const unsigned char *bytes;
    size_t size;
};

/* `size` bytes at `offset`, or NULL when the file has not so many. */
static const void *at(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset ? image->bytes + offset : NULL;
}

static const ElfW(Ehdr) * own_header(void)
{
    Dl_info self;

    return dladdr((void *)elf_check, &self) ? self.dli_fbase : NULL;
}

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_X86_64, "x86-64"}, {EM_AARCH64, "arm64"}, {EM_386, "i386"},  {EM_ARM, "arm"},
                 {EM_RISCV, "RISC-V"},  {EM_PPC64, "ppc64"},   {EM_S390, "s390x"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].machine == machine) {
            return names[i].name;
        }
    }
    return "another machine";
}

static int check_header(const struct image *image, const char *shown, struct mite_error *error)
{
    const ElfW(Ehdr) *header = at(image, 0, sizeof(*header)), *own = own_header();

    if (image->size < SELFMAG || memcmp(image->bytes, ELFMAG, SELFMAG) != 0 || image->size <= EI_DATA) {
        return error_set(error, MITE_EINVAL, "%s is no shared library: mite build makes one of a C source", shown);
    }
    if (header && own && header->e_machine != own->e_machine) {
        return error_set(error, MITE_EINVAL, "%s is for %s, this machine is %s: build it here, or on such a machine",
                         shown, machine_name(header->e_machine), machine_name(own->e_machine));
    }
    if (!header || (own && memcmp(header->e_ident, own->e_ident, EI_VERSION) != 0) || header->e_type != ET_DYN) {
        return error_set(error, MITE_EINVAL,
                         "%s is an ELF file but no shared library: mite build makes one of a C source", shown);
    }
    return 0;
}

/* The table of sections is what linkers write last. */
static bool is_cut_off(const struct image *image)
{
    const ElfW(Ehdr) *header = at(image, 0, sizeof(*header));

    return !at(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(ElfW(Shdr)));
}

/* The section of that type and its header's index range: the table of exported symbols, or NULL. */
static const ElfW(Shdr) * find_symbols(const struct image *image, const ElfW(Shdr) * *strings)
{
    const ElfW(Ehdr) *header = at(image, 0, sizeof(*header));
    const ElfW(Shdr) *sections = at(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*sections));

    if (!sections || header->e_shentsize != sizeof(*sections) || (uintptr_t)sections % _Alignof(ElfW(Shdr)) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == SHT_DYNSYM && sections[i].sh_link < header->e_shnum) {
            *strings = &sections[sections[i].sh_link];
            return &sections[i];
        }
    }
    return NULL;
}

static bool is_module(const struct image *image, const ElfW(Sym) * symbol, const ElfW(Shdr) * strings)
{
    const char *name = symbol->st_shndx != SHN_UNDEF && symbol->st_name < strings->sh_size
                           ? at(image, strings->sh_offset + symbol->st_name, sizeof(MODULE_SYMBOL))
                           : NULL;

    return name && memcmp(name, MODULE_SYMBOL, sizeof(MODULE_SYMBOL)) == 0;
}

/* The file's bytes that will lie at that address. */
static const void *at_address(const struct image *image, uint64_t address, size_t size)
{
    const ElfW(Ehdr) *header = at(image, 0, sizeof(*header));
    const ElfW(Phdr) *segments = at(image, header->e_phoff, (uint64_t)header->e_phnum * sizeof(*segments));

    if (!segments || header->e_phentsize != sizeof(*segments) || (uintptr_t)segments % _Alignof(ElfW(Phdr)) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *segment = &segments[i];

        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz) {
            return at(image, segment->p_offset + (address - segment->p_vaddr), size);
        }
    }
    return NULL;
}

/* The module's first word. It is a plain number: no relocation writes to it. */
static bool read_abi(const struct image *image, uint32_t *out)
{
    const ElfW(Shdr) * strings, *table = find_symbols(image, &strings);
    const ElfW(Sym) *symbols = table ? at(image, table->sh_offset, table->sh_size) : NULL;

    if (!symbols || (uintptr_t)symbols % _Alignof(ElfW(Sym)) != 0) {
        return false;
    }
    for (size_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
        if (is_module(image, &symbols[i], strings)) {
            const void *word = at_address(image, symbols[i].st_value, sizeof(*out));

            if (word) {
                memcpy(out, word, sizeof(*out));
            }
            return word != NULL;
        }
    }
    return false;
}

static int check(const struct image *image, const char *shown, struct mite_error *error)
{
    uint32_t abi;
    int rc = check_header(image, shown, error);

    if (rc < 0) {
        return rc;
    }
    if (is_cut_off(image)) {
        return error_set(error, MITE_EINVAL, "%s is not whole, its end is missing: build or copy it again", shown);
    }
    if (!read_abi(image, &abi)) {
        return error_set(error, MITE_EINVAL,
                         "%s is a library without anything for mite: no source of it includes <mite/mite.h>", shown);
    }
    if (abi != MITE_ABI) {
        return error_set(error, MITE_EINVAL, "%s was built for ABI %u of mite, this mite has ABI %u: build it again",
                         shown, abi, MITE_ABI);
    }
    return 0;
}

int elf_check(const char *path, const char *shown, struct mite_error *error)
{
    struct image image = {.size = 0};
    int fd, opened = file_open(path, shown, &fd, &image.size, error);

    if (opened < 0) {
        return opened;
    }

    void *bytes = image.size > 0 ? mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;

    close(fd);
    if (bytes == MAP_FAILED) {
        return error_errno(error, errno, "cannot read %s", shown);
    }
    image.bytes = bytes;

    int rc = check(&image, shown, error);

    if (bytes) {
        munmap(bytes, image.size);
    }
    return rc;
}
