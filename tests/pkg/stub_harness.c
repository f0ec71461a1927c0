/* The stub's own functions on this machine: a line of words in, a line out (test_stub.py). */
#define memcpy stub_memcpy
#define memset stub_memset
#define memcmp stub_memcmp
#include "stub.c"
#undef memcpy
#undef memset
#undef memcmp

extern int printf(const char *, ...), strcmp(const char *, const char *);
extern unsigned long strlen(const char *);
extern void *malloc(unsigned long);
extern long read(int, void *, unsigned long);
extern void free(void *), exit(int);
extern void *mmap(void *, unsigned long, int, int, int, long);

/* As much of a firmware as is needed to see what an image leaves behind. */
static struct { Handle handle; const Guid *guid; void *interface; } installed[8];
static LoadedImage running;
static int handles;

static int same(const Guid *one, const Guid *other) { return !stub_memcmp(one, other, sizeof(Guid)); }

static Status EFIAPI install(Handle *handle, const Guid *guid, int kind, void *interface) {
	for (int i = 0; i < 8; i++)
		if (!installed[i].guid) {
			if (!*handle)
				*handle = (char *)&handles + ++handles;
			installed[i].handle = *handle, installed[i].guid = guid, installed[i].interface = interface;
			return SUCCESS;
		}
	return OUT_OF_RESOURCES;
}

static Status EFIAPI uninstall(Handle handle, const Guid *guid, void *interface) {
	for (int i = 0; i < 8; i++)
		if (installed[i].guid && installed[i].handle == handle && same(installed[i].guid, guid)) {
			installed[i].guid = NULL;
			return SUCCESS;
		}
	return ERROR(14);
}

static Status EFIAPI of_handle(Handle handle, const Guid *guid, void **interface) {
	*interface = &running;
	return same(guid, &LOADED_IMAGE) ? SUCCESS : UNSUPPORTED;
}

static Status EFIAPI by_path(const Guid *guid, const Path **path, Handle *handle) {
	static const Path end = {END, 0xff, {4, 0}};
	for (int i = 0; i < 8; i++)
		if (installed[i].guid && same(installed[i].guid, guid)) {
			*handle = installed[i].handle, *path = &end;
			return SUCCESS;
		}
	return ERROR(14);
}

static Status EFIAPI pages(int how, int kind, size_t count, uint64_t *address) {
	*address = (uint64_t)mmap(NULL, count * PAGE, 7, 0x22, -1, 0);
	return SUCCESS;
}

static Status EFIAPI nothing_there(const Guid *guid, void *registration, void **interface) { return ERROR(14); }
static Status EFIAPI watchdog(size_t seconds, uint64_t code, size_t size, const uint16_t *data) { return SUCCESS; }
static Status EFIAPI variable(const uint16_t *name, const Guid *vendor, uint32_t how, size_t size, const void *data) {
	return SUCCESS;
}

static void left(const char *how) {
	int count = 0;
	for (int i = 0; i < 8; i++)
		count += installed[i].guid != NULL;
	printf("%s %d\n", how, count);
	exit(0);
}

static Status EFIAPI image_exit(Handle handle, Status status, size_t size, const uint16_t *data) {
	left("exit");
	return SUCCESS;
}

static void EFIAPI machine_reset(int kind, Status status, size_t size, const void *data) { left("reset"); }

static Part argument(const char *text) {
	return (Part){(const uint8_t *)text, strlen(text)};
}

int main(int count, char **words) {
	if (count < 2)
		return 2;
	if (!strcmp(words[1], "addon")) {
		printf("%d\n", speaks_of_a_release(argument(words[2])));
	} else if (!strcmp(words[1], "line")) {
		int fits = 1;
		for (int i = 2; i < count; i++)
			fits &= append(argument(words[i]));
		printf("%d ", fits);
		for (size_t i = 0; i < line_length; i++)
			printf("%c", line[i]);
		printf("\n");
	} else if (!strcmp(words[1], "tries")) {
		uint16_t text[MAX_PATH];
		size_t length = strlen(words[2]), start = 0;
		for (size_t i = 0; i < length; i++)
			text[i] = (uint8_t)words[2][i];
		size_t size = tries(text, length, &start);
		printf("%.*s%s\n", (int)(size ? start : length), words[2], size ? words[2] + start + size : "");
	} else if (!strcmp(words[1], "image")) {
		/* Exactly as much memory as there is input, so that reading behind it is seen. */
		static uint8_t buffer[1 << 16];
		size_t size = 0;
		for (long got; (got = read(0, buffer + size, sizeof(buffer) - size)) > 0;)
			size += (size_t)got;
		uint8_t *exact = malloc(size ? size : 1);
		for (size_t i = 0; i < size; i++)
			exact[i] = buffer[i];
		LoadedImage image = {.base = exact, .size = size};
		Part found = section(&image, ".cmdline");
		long length = found.data ? text_length(found) : -2;
		printf("%ld\n", length);
		free(exact);
	} else if (!strcmp(words[1], "start")) {
		static uint8_t image[1 << 16];
		for (long got; (got = read(0, image + running.size, sizeof(image) - running.size)) > 0;)
			running.size += (size_t)got;
		running.base = image;
		static BootServices services = {
			.allocate_pages = pages, .install_protocol = install, .uninstall_protocol = uninstall,
			.handle_protocol = of_handle, .locate_path = by_path, .locate_protocol = nothing_there,
			.set_watchdog = watchdog, .exit = image_exit,
		};
		static RuntimeServices later = {.set_variable = variable, .reset = machine_reset};
		static SystemTable table = {.boot = &services, .runtime = &later};
		efi_main(&running, &table);
		left("return");
	}
	return 0;
}
