#include "err.h"

#include <string.h>

const char *hw_strerror(int error) {
    switch (error < 0 ? -error : error) {
    case 0:
        return "no error";
#define HW_ERROR_TEXT(name, number, text)                                                          \
    case name:                                                                                     \
        return text;
        HW_ERRORS(HW_ERROR_TEXT)
#undef HW_ERROR_TEXT
    default:
        return strerror(error < 0 ? -error : error);
    }
}
