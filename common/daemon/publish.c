#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int write_whole(const char *path, const struct buf *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    ssize_t wrote = write(fd, text->data, text->len);
    int error = wrote < 0 ? -errno : (size_t)wrote < text->len ? -ENOSPC : 0;
    close(fd);
    return error;
}

int publish(const char *path, const struct buf *text, mode_t mode) {
    struct buf beside = BUF_EMPTY;
    buf_printf(&beside, "%s.new", path);
    int error = write_whole(buf_cstr(&beside), text, mode);
    if (error == 0 && rename(buf_cstr(&beside), path) != 0)
        error = -errno;
    buf_free(&beside);
    return error;
}
