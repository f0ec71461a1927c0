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
extern void free(void *);

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
	}
	return 0;
}
