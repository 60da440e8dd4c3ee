// docs/openapi.yaml, put into the executable as it stands.
#include "handlers.h"
#include "request.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        "openapi_begin:\n"
        ".incbin \"" HAWSER_OPENAPI "\"\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char openapi_begin[], openapi_end[];

void handle_openapi(struct request *q) {
    reply_yaml(q, openapi_begin, (size_t)(openapi_end - openapi_begin));
}
