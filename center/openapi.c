// docs/openapi.yaml, put into the executable as it stands.
#include "center_internal.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        "openapi_begin:\n"
        ".incbin \"" HAWSER_OPENAPI "\"\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char openapi_begin[], openapi_end[];

void handle_openapi(struct request *q) {
    reply_text(q, 200, "application/yaml", openapi_begin, (size_t)(openapi_end - openapi_begin));
}
