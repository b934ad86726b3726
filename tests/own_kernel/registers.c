/* Preloaded into user-mode Linux, whose kernel of Debian 12 (6.1) has room for the registers of AVX-512 and no more.

   Where a processor has AMX, the kernel outside takes none but the whole set (xstateregs_set() of Linux: EFAULT), and
   user-mode Linux panics at its first process. So the set that it gives is laid over the whole one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

long ptrace(enum __ptrace_request request, ...)
{
    static long (*real)(enum __ptrace_request, ...);
    static char registers[64 * 1024];
    va_list arguments;

    if (!real)
        real = dlsym(RTLD_NEXT, "ptrace");
    va_start(arguments, request);
    pid_t pid = va_arg(arguments, pid_t);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);
    if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
        struct iovec given = *(struct iovec *)data, whole = {registers, sizeof registers};
        if (real(PTRACE_GETREGSET, pid, address, &whole) == 0 && given.iov_len < whole.iov_len) {
            memcpy(registers, given.iov_base, given.iov_len);
            return real(request, pid, address, &whole);
        }
    }
    return real(request, pid, address, data);
}
