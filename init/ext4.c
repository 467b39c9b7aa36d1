/*
 * An empty ext4 file system for /tmp, written into a sparse file: no lost+found, nothing reserved for root. Some
 * 80 KB are written, so it takes less than a millisecond; the inode tables and the journal are the file's holes.
 *
 * 512 MB of files fit in, 200,000 files too. Blocks of 2 KB make both possible: half a million small files would need
 * blocks of 1 KB, which slow large ones down. The journal is there for speed: without one, ext4 passes over inodes that
 * were freed within the last minutes, and a function that makes and removes many files waits for that search (measured:
 * 0.7 ms a file instead of 0.03). Layout: kernel.org, "ext4 Data Structures and Algorithms".
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "disks.h"

enum {
    BLOCK = 2048,
    BITS = 8 * BLOCK, /* of a bitmap that fills a block: the most blocks of a group */
    INODE = 256,
    FIRST_FREE_INODE = 11,
    GROUPS = 18,
    FILES = 200000,
    GROUP_INODES = (FILES + FIRST_FREE_INODE + GROUPS * 8 - 1) / (GROUPS * 8) * 8,
    TABLE = GROUP_INODES * INODE / BLOCK, /* blocks of a group's inode table */
    GROUP_OWN = 2 + TABLE,                /* its two bitmaps and the table */
    FIRST_OWN = 2,                        /* superblock and descriptors, before all that in the first group */
    DATA = 512 * 1024 / (BLOCK / 1024),
    KERNELS = 4096, /* blocks that the kernel keeps back for metadata of its own */
    EXTENTS = 64,   /* blocks that say where the blocks of large files are */
    JOURNAL = 3072,
    FIRST_USED = FIRST_OWN + GROUP_OWN + 1 + JOURNAL, /* of the first group */
    TOTAL = FIRST_USED + (GROUPS - 1) * GROUP_OWN + DATA + KERNELS + EXTENTS,
    ROOT_BLOCK = FIRST_OWN + GROUP_OWN, /* the root directory's only one */
    JOURNAL_BLOCK = ROOT_BLOCK + 1,
    ROOT_INODE = 2,
    JOURNAL_INODE = 8,
};

_Static_assert(TOTAL > (GROUPS - 1) * BITS + GROUP_OWN && TOTAL <= GROUPS * BITS, "the last group has room for its own");
_Static_assert(GROUP_INODES <= BITS && GROUP_INODES * INODE % BLOCK == 0, "inodes fill whole blocks");
_Static_assert(FIRST_USED < BITS && JOURNAL % 256 == 0 && JOURNAL <= 32768, "the journal is one extent");

enum {
    JOURNALED = 0x4, XATTRS = 0x8, HASHED_DIRECTORIES = 0x20, FEW_BACKUPS = 0x200,             /* compatible features */
    FILE_TYPES = 0x2, EXTENT_TREES = 0x40,                                    /* incompatible ones */
    LARGE_FILES = 0x2, HUGE_FILES = 0x8, MANY_LINKS = 0x20, LONG_INODES = 0x40, /* needed to write */
};

static void put(unsigned char *at, size_t bytes, uint64_t value)
{
    for (; bytes > 0; bytes--, value >>= 8)
        *at++ = (unsigned char)value;
}

/* Blocks of a group that are in use from the start, and how many it has. */
static uint32_t used_blocks(uint32_t group)
{
    return group == 0 ? FIRST_USED : GROUP_OWN;
}

static uint32_t all_blocks(uint32_t group)
{
    return group == GROUPS - 1 ? TOTAL - group * BITS : BITS;
}

/* Of the group's first block of its own, the bitmap of blocks. */
static uint32_t own_blocks(uint32_t group)
{
    return group * BITS + (group == 0 ? FIRST_OWN : 0);
}

static bool write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    return pwrite(fd, data, size, (off_t)offset) == (ssize_t)size;
}

static bool write_bitmap(int fd, uint32_t block, uint32_t used, uint32_t count)
{
    unsigned char bits[BLOCK] = {0};
    for (uint32_t bit = 0; bit < BITS; bit++)
        if (bit < used || bit >= count) /* what is beyond the end counts as used */
            bits[bit / 8] |= (unsigned char)(1 << bit % 8);
    return write_at(fd, bits, sizeof bits, (uint64_t)block * BLOCK);
}

static bool write_groups(int fd)
{
    unsigned char descriptors[BLOCK] = {0};
    for (uint32_t group = 0; group < GROUPS; group++) {
        unsigned char *descriptor = descriptors + group * 32;
        uint32_t own = own_blocks(group), inodes = group == 0 ? FIRST_FREE_INODE - 1 : 0;
        put(descriptor, 4, own);
        put(descriptor + 4, 4, own + 1);
        put(descriptor + 8, 4, own + 2);
        put(descriptor + 12, 2, all_blocks(group) - used_blocks(group));
        put(descriptor + 14, 2, GROUP_INODES - inodes);
        put(descriptor + 16, 2, group == 0); /* directories */
        if (!write_bitmap(fd, own, used_blocks(group), all_blocks(group)) ||
            !write_bitmap(fd, own + 1, inodes, GROUP_INODES))
            return false;
    }
    return write_at(fd, descriptors, sizeof descriptors, BLOCK);
}

/* A file or directory whose blocks follow each other. */
static bool write_inode(int fd, uint32_t number, uint16_t mode, uint16_t links, uint32_t first, uint32_t blocks)
{
    unsigned char inode[INODE] = {0};
    uint32_t now = (uint32_t)time(NULL);
    put(inode, 2, mode);
    put(inode + 4, 4, (uint64_t)blocks * BLOCK); /* size */
    put(inode + 8, 4, now);
    put(inode + 12, 4, now);
    put(inode + 16, 4, now);
    put(inode + 26, 2, links);
    put(inode + 28, 4, (uint64_t)blocks * BLOCK / 512); /* sectors */
    put(inode + 32, 4, 0x80000);                        /* it has extents: */
    put(inode + 40, 2, 0xF30A);
    put(inode + 42, 2, 1); /* one */
    put(inode + 44, 2, 4); /* of four, from its block 0 on */
    put(inode + 56, 2, blocks);
    put(inode + 60, 4, first);
    put(inode + 128, 2, 32);  /* so much of the long inode is in use */
    put(inode + 144, 4, now); /* made */
    return write_at(fd, inode, sizeof inode, (uint64_t)(own_blocks(0) + 2) * BLOCK + (number - 1) * INODE);
}

/* Mode 1777, as /tmp has it everywhere. */
static bool write_root(int fd)
{
    unsigned char names[BLOCK] = {0};
    put(names, 4, ROOT_INODE);
    put(names + 4, 2, 12);
    memcpy(names + 6, "\1\2.", 3);
    put(names + 12, 4, ROOT_INODE);
    put(names + 16, 2, BLOCK - 12);
    memcpy(names + 18, "\2\2..", 4);
    return write_inode(fd, ROOT_INODE, 041777, 2, ROOT_BLOCK, 1) &&
           write_at(fd, names, sizeof names, (uint64_t)ROOT_BLOCK * BLOCK);
}

/* Big-endian, as nothing else here. Nothing is in it. */
static bool write_journal(int fd)
{
    unsigned char super[BLOCK] = {0};
    memcpy(super, "\xC0\x3B\x39\x98\0\0\0\4", 8);
    super[14] = BLOCK >> 8;
    super[18] = JOURNAL >> 8;
    super[23] = 1; /* its first block for records, */
    super[27] = 1; /* and the number of the first one */
    super[67] = 1; /* users */
    return write_inode(fd, JOURNAL_INODE, 0100600, 1, JOURNAL_BLOCK, JOURNAL) &&
           write_at(fd, super, sizeof super, (uint64_t)JOURNAL_BLOCK * BLOCK);
}

static bool write_superblock(int fd)
{
    uint32_t now = (uint32_t)time(NULL);
    unsigned char super[1024] = {0};
    put(super, 4, GROUPS * GROUP_INODES);
    put(super + 4, 4, TOTAL);
    put(super + 12, 4, TOTAL - FIRST_USED - (GROUPS - 1) * GROUP_OWN); /* free */
    put(super + 16, 4, GROUPS * GROUP_INODES - (FIRST_FREE_INODE - 1));
    put(super + 24, 4, 1); /* block size: 1024 << 1, and that of clusters */
    put(super + 28, 4, 1);
    put(super + 32, 4, BITS);
    put(super + 36, 4, BITS);
    put(super + 40, 4, GROUP_INODES);
    put(super + 48, 4, now);
    put(super + 54, 2, 0xFFFF); /* never to be checked */
    put(super + 56, 2, 0xEF53);
    put(super + 58, 2, 1); /* clean */
    put(super + 60, 2, 1); /* go on at errors */
    put(super + 64, 4, now);
    put(super + 76, 4, 1); /* revision, with: */
    put(super + 84, 4, FIRST_FREE_INODE);
    put(super + 88, 2, INODE);
    put(super + 92, 4, JOURNALED | XATTRS | HASHED_DIRECTORIES | FEW_BACKUPS);
    put(super + 96, 4, FILE_TYPES | EXTENT_TREES);
    put(super + 100, 4, LARGE_FILES | HUGE_FILES | MANY_LINKS | LONG_INODES);
    memcpy(super + 120, "scf-tmp", 7);
    put(super + 224, 4, JOURNAL_INODE);
    put(super + 252, 1, 1); /* how names are hashed: half MD4, */
    put(super + 352, 4, 2); /* of unsigned bytes, with a seed */
    put(super + 264, 4, now); /* made */
    put(super + 348, 2, 32);
    put(super + 350, 2, 32);
    return getrandom(super + 104, 16, 0) == 16 && getrandom(super + 236, 16, 0) == 16 &&
           write_at(fd, super, sizeof super, 1024);
}

bool format_ext4(int fd)
{
    return ftruncate(fd, (off_t)TOTAL * BLOCK) == 0 && write_groups(fd) && write_root(fd) && write_journal(fd) &&
           write_superblock(fd);
}
