/* Disks for /tmp: see the top of disks.c. */

#ifndef SCF_DISKS_H
#define SCF_DISKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* disks.c: the exit code of what the arguments ask for */
int keep_disks(int count, char **arguments);
int try_disk(void);

/* ext4.c */
bool format_ext4(int fd); /* false: errno says why */

#endif
