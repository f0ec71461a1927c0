/* A PKCS#11 module that has a fault: SoftHSM, with some of its functions replaced.

   FAULT_HANG: a login never returns. FAULT_CRASH: it ends the process. FAULT_GARBAGE: a bit of each signature is wrong.
   FAULT_LOUD: the PIN is printed wherever a module can print. LOGINS: a file to which each login adds a byte; with the
   third wrong PIN the token is locked, as real ones do and SoftHSM does not; it says so, and before that that one try is left.
   The order of functions is that of CK_FUNCTION_LIST (PKCS#11 2.40, 3.6). */

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_INCORRECT 0xA0UL
#define PIN_LOCKED 0xA4UL
enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, LOGIN = 18, SIGN = 43, FUNCTIONS = 68 };
#define FLAGS_AT 96 /* label 32, manufacturer 32, model 16, serial 16 */

typedef unsigned long rv;
struct list { unsigned char version[8]; void *functions[FUNCTIONS]; };
static struct list ours, *theirs;

static long wrong(void) {
    struct stat state;
    return stat(LOGINS ".wrong", &state) ? 0 : state.st_size;
}

static void add(const char *file) {
    FILE *stream = fopen(file, "a");
    fputc('.', stream);
    fclose(stream);
}

static rv login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length) {
    add(LOGINS);
#ifdef FAULT_LOUD
    fprintf(stderr, "C_Login %.*s\n", (int)length, pin);
    printf("C_Login %.*s\n", (int)length, pin);
    fflush(stdout);
#endif
#ifdef FAULT_HANG
    for (;;) sleep(60);
#endif
#ifdef FAULT_CRASH
    *(volatile int *)0 = 1;
#endif
    if (wrong() >= 3) return PIN_LOCKED;
    rv answer = ((rv (*)(unsigned long, unsigned long, unsigned char *, unsigned long))theirs->functions[LOGIN])(session, user, pin, length);
    if (answer == PIN_INCORRECT) add(LOGINS ".wrong");
    return answer;
}

static rv token_info(unsigned long slot, unsigned char *info) {
    rv answer = ((rv (*)(unsigned long, unsigned char *))theirs->functions[GET_TOKEN_INFO])(slot, info);
    unsigned long flags;
    memcpy(&flags, info + FLAGS_AT, sizeof flags);
    if (wrong() >= 2) flags |= wrong() >= 3 ? 0x40000 : 0x20000;
    memcpy(info + FLAGS_AT, &flags, sizeof flags);
    return answer;
}

static rv sign(unsigned long session, unsigned char *data, unsigned long size, unsigned char *out, unsigned long *length) {
    rv answer = ((rv (*)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *))theirs->functions[SIGN])(session, data, size, out, length);
    if (!answer && out) out[*length / 2] ^= 1;
    return answer;
}

static rv function_list(struct list **found) {
    *found = &ours;
    return 0;
}

rv C_GetFunctionList(struct list **found) {
    void *module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    rv (*get)(struct list **) = (rv (*)(struct list **))dlsym(module, "C_GetFunctionList");
    rv answer = get(&theirs);
    memcpy(&ours, theirs, sizeof ours);
    ours.functions[GET_FUNCTION_LIST] = function_list;
    ours.functions[LOGIN] = login;
    ours.functions[GET_TOKEN_INFO] = token_info;
#ifdef FAULT_GARBAGE
    ours.functions[SIGN] = sign;
#endif
    *found = &ours;
    return answer;
}
