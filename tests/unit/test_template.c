/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/template_build.h"

UNIT_SUITE(template);

#define PATIENCE (20 * KT_NSEC_PER_SEC)
#define RAM_LEN  (256 * 4096)

/* ---- templates without a machine --------------------------------------------------------------
 */

static char cache_dir[] = "/tmp/ktest-templates-XXXXXX";
static char *templates_dir;

static void set_up(void)
{
	cr_assert(ne(ptr, mkdtemp(cache_dir), NULL));
	(void)setenv("XDG_CACHE_HOME", cache_dir, 1);
	cr_assert(zero(int, kt_cache_path("templates", &templates_dir, NULL)));
}

static void tear_down(void)
{
	(void)kt_remove_all(cache_dir);
	free(kt_steal(templates_dir));
}

#define TEMPLATE_TEST(name) Test(template, name, .init = set_up, .fini = tear_down)

static struct kt_template_id id_of(const char *machine, const char *program)
{
	return (struct kt_template_id){ templates_dir, machine, program };
}

static struct kt_template members_of(uint64_t build_ns)
{
	return (struct kt_template){
		.image = { -1, -1 },
		.position = { .received = 5, .sent = 0xfffffff7 },
		.hello = { .version = KT_WIRE_VERSION,
			   .build_id = "0123456789abcdef",
			   .release = "6.1-tiny",
			   .boot_ns = 123456789012,
			   .cpus = 6,
			   .numa_nodes = 1,
			   .llcs = 3,
			   .cores = 2,
			   .threads = 1,
			   .phys_base = 0x1000000,
			   .page_offset_base = 0xffff888000000000,
			   .text = 0xffffffff81000000 },
		.files = json_pack("{s[si]}", "/init", "path", 7),
		.build_ns = build_ns,
	};
}

/* One page in the middle of the RAM is not zero. */
static int write_ram(const char *stage)
{
	KT_FREE char *path = kt_format("%s/ram", stage);
	KT_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, RAM_LEN) < 0 || pwrite(fd, "the RAM", 7, RAM_LEN / 2) != 7)
		return -errno;
	return 0;
}

static int write_state(const char *stage)
{
	KT_FREE char *path = kt_format("%s/state", stage);

	return kt_file_publish(path, "the state", 9, NULL);
}

static int publish(const struct kt_template_id *id, const char *stage, uint64_t build_ns,
		   struct kt_err *reterr)
{
	struct kt_template members = members_of(build_ns);
	int r = kt_template_publish(id, stage, &members, reterr);

	kt_template_deinit(&members);
	return r;
}

/* A template that its build_ns distinguishes from others. */
static int make(const char *machine, const char *program, uint64_t build_ns)
{
	struct kt_template_id id = id_of(machine, program);
	KT_FREE char *path = kt_template_path(&id), *stage = NULL;

	return kt_cache_stage(path, &stage, NULL) ?:
	       write_ram(stage) ?:
	       write_state(stage) ?:
	       publish(&id, stage, build_ns, NULL);
}

/* The build_ns of the template that is found; 0 if none is. */
static uint64_t find_by(int (*fn)(const struct kt_template_id *, struct kt_template *,
				  struct kt_err *),
			const char *machine, const char *program, struct kt_err *reterr)
{
	struct kt_template_id id = id_of(machine, program);
	struct kt_template found = KT_TEMPLATE_NULL;
	int r = fn(&id, &found, reterr);
	uint64_t build_ns = r ? found.build_ns : 0;

	cr_assert(ge(int, r, 0));
	kt_template_deinit(&found);
	return build_ns;
}

#define find(machine, program, err)         find_by(kt_template_find, machine, program, err)
#define find_sibling(machine, program, err) find_by(kt_template_find_sibling, machine, program, err)

/* The path of a file in a template of "machine"; for "", that of the directory. */
static char *file_of(const char *program, const char *name)
{
	struct kt_template_id id = id_of("machine", program);
	KT_FREE char *path = kt_template_path(&id);

	return kt_format("%s%s%s", path, *name ? "/" : "", name);
}

static void set_time(const char *program, const char *name, time_t when_s)
{
	const struct timespec times[2] = { { .tv_sec = when_s }, { .tv_sec = when_s } };
	KT_FREE char *path = file_of(program, name);

	cr_assert(zero(int, utimensat(AT_FDCWD, path, times, 0)));
}

static bool is_there(const char *program)
{
	KT_FREE char *path = file_of(program, "");

	return access(path, F_OK) == 0;
}

static size_t n_matching(const char *pattern)
{
	KT_FREE char *full = kt_format("%s/%s", templates_dir, pattern);
	glob_t found = { 0 };
	size_t n;

	(void)glob(full, 0, NULL, &found);
	n = found.gl_pathc;
	globfree(&found);
	return n;
}

TEMPLATE_TEST(what_was_published_is_found_as_it_was)
{
	struct kt_template_id id = id_of("machine", "program");
	struct kt_template made = members_of(77), found = KT_TEMPLATE_NULL;
	struct kt_err err = KT_ERR_NULL;
	char bytes[9];

	cr_assert(zero(int, make("machine", "program", 77)));
	cr_assert(eq(int, kt_template_find(&id, &found, &err), 1), "%s", err.text);
	cr_assert(eq(u32, found.position.received, 5));
	cr_assert(eq(u32, found.position.sent, 0xfffffff7));
	cr_assert(zero(int, memcmp(&found.hello, &made.hello, sizeof(made.hello))));
	cr_assert(json_equal(found.files, made.files));
	cr_assert(eq(u64, found.build_ns, 77));
	cr_assert(eq(u64, found.ram_used, 4096));
	cr_assert(eq(long, pread(found.image.state_fd, bytes, 9, 0), 9));
	cr_assert(zero(int, memcmp(bytes, "the state", 9)));
	cr_assert(eq(long, pread(found.image.ram_fd, bytes, 9, RAM_LEN / 2), 9));
	cr_assert(zero(int, memcmp(bytes, "the RAM\0", 9)));
	kt_template_deinit(&found);
	kt_template_deinit(&made);
}

TEMPLATE_TEST(another_machine_or_program_is_not_found)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, make("machine", "program", 1)));
	cr_assert(zero(u64, find("other machine", "program", &err)));
	cr_assert(zero(u64, find("machine", "other program", &err)));
	cr_assert(eq(str, err.text, ""), "what is not there is not an error");
	cr_assert(zero(int, make("machine", "program", 2)));
	cr_assert(eq(u64, find("machine", "program", NULL), 2), "it takes the place of the older");
	cr_assert(eq(sz, n_matching("*"), 1), "nothing of the older is left");
}

TEMPLATE_TEST(a_sibling_is_the_latest_used_of_the_same_machine)
{
	KT_FREE char *ram = file_of("two", "ram");
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, make("machine", "one", 1)));
	cr_assert(zero(int, make("machine", "two", 2)));
	cr_assert(zero(int, make("other machine", "new", 3))); /* the most recently used */
	set_time("one", "", 2000);
	set_time("two", "", 1000);
	cr_assert(eq(u64, find_sibling("machine", "new", NULL), 1));
	set_time("one", "", 2000);
	cr_assert(eq(u64, find("machine", "two", NULL), 2)); /* uses it */
	cr_assert(eq(u64, find_sibling("machine", "new", &err), 2));
	cr_assert(zero(u64, find_sibling("third machine", "new", &err)));
	cr_assert(zero(int, truncate(ram, 4096)));
	cr_assert(eq(u64, find_sibling("machine", "new", &err), 1), "a damaged one gives way");
	cr_assert(strstr(err.text, "RAM is truncated") != NULL, "%s", err.text);
	cr_assert(not(is_there("two")));
}

static void flip_byte(const char *path, off_t at)
{
	/* The clock of files is coarse: this may be the same tick as that of its making. */
	const struct timespec times[2] = { { .tv_sec = 2000 }, { .tv_sec = 2000 } };
	KT_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte;

	cr_assert(eq(long, pread(fd, &byte, 1, at), 1));
	byte ^= 1;
	cr_assert(eq(long, pwrite(fd, &byte, 1, at), 1));
	cr_assert(zero(int, futimens(fd, times)));
}

/* Replaces it by another template under the same name, as if the hashes were the same. */
static void put_in_place(const char *machine, const char *program)
{
	struct kt_template_id id = id_of(machine, program);
	KT_FREE char *dir = file_of("program", ""), *other = kt_template_path(&id);

	cr_assert(zero(int, make(machine, program, 2)));
	cr_assert(zero(int, kt_remove_all(dir)));
	cr_assert(zero(int, rename(other, dir)));
}

struct damage {
	enum { FLIP, CUT, REMOVE, WRITE, REPLACE } what;
	const char *name; /* of a file, or of the machine of the other template */
	off_t at;
	const char *value; /* what is written to it, or the program of the other template */
	const char *why;   /* a part of the message */
};

static void do_damage(const struct damage *damage)
{
	KT_FREE char *path = file_of("program", damage->name);

	if (damage->what == FLIP)
		flip_byte(path, damage->at);
	else if (damage->what == CUT)
		cr_assert(zero(int, truncate(path, damage->at)));
	else if (damage->what == REMOVE)
		cr_assert(zero(int, unlink(path)));
	else if (damage->what == WRITE)
		cr_assert(zero(int,
			       kt_file_publish(path, damage->value, strlen(damage->value), NULL)));
	else
		put_in_place(damage->name, damage->value);
}

TEMPLATE_TEST(a_damaged_one_is_removed_and_the_error_says_why)
{
	static const struct damage damages[] = {
		{ FLIP, "state", 4, NULL, "its state has changed" },
		{ FLIP, "ram", RAM_LEN / 2 + 17, NULL, "its RAM has changed" },
		{ FLIP, "ram", 17, NULL, "its RAM has changed" }, /* in a hole */
		{ CUT, "ram", RAM_LEN - 4096, NULL, "its RAM is truncated" },
		{ REMOVE, "state", 0, NULL, "its files: No such file" },
		{ CUT, "meta.json", 100, NULL, "its meta.json" },
		{ REMOVE, "meta.json", 0, NULL, "its meta.json: No such file" },
		{ WRITE, "meta.json", 0, "{\"version\": 1000}", "another version of ktest" },
		{ WRITE, "meta.json", 0, "{}", "another version of ktest" },
		{ REPLACE, "other machine", 0, "program", "for another machine" },
		{ REPLACE, "machine", 0, "other program", "for another program" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(damages); i++) {
		const char *why = damages[i].why;
		struct kt_err err = KT_ERR_NULL;

		cr_assert(zero(int, make("machine", "program", 1)));
		set_time("program", "ram", 1000); /* as after a copy */
		cr_assert(eq(u64, find("machine", "program", &err), 1), "%s", err.text);
		do_damage(&damages[i]);
		cr_assert(zero(u64, find("machine", "program", &err)), "%s", why);
		cr_assert(strstr(err.text, " is not used: ") != NULL, "%s", err.text);
		cr_assert(strstr(err.text, why) != NULL, "'%s' is not in '%s'", why, err.text);
		cr_assert(strchr(err.text, '\n') == NULL, "%s", err.text);
		cr_assert(not(is_there("program")), "%s", why);
	}
}

/* The descriptors may be used up: directory, meta.json, ram, state, and state once more. */
TEMPLATE_TEST(an_error_of_the_host_leaves_it)
{
	struct kt_template_id id = id_of("machine", "program");
	struct rlimit before, few;

	cr_assert(zero(int, make("machine", "program", 1)));
	(void)getrlimit(RLIMIT_NOFILE, &before);
	for (rlim_t more = 0; more <= 3; more++) {
		struct kt_template found = KT_TEMPLATE_NULL;
		struct kt_err err = KT_ERR_NULL;
		int next = open("/dev/null", O_RDONLY | O_CLOEXEC), r;

		(void)close(next);
		few = before;
		few.rlim_cur = (rlim_t)next + more;
		(void)setrlimit(RLIMIT_NOFILE, &few);
		r = kt_template_find(&id, &found, &err);
		(void)setrlimit(RLIMIT_NOFILE, &before);
		cr_assert(le(int, r, 0), "%d descriptors are enough", (int)more);
		cr_assert(strstr(err.text, "Too many open files") != NULL, "%s", err.text);
		cr_assert(is_there("program"), "%s", err.text);
	}
	cr_assert(eq(u64, find("machine", "program", NULL), 1));
}

/* ---- the directory of all ---------------------------------------------------------------------
 */

/* The sum of the sizes in the list, which must have three templates. */
static uint64_t check_list(void)
{
	struct kt_template_entry *entries = NULL;
	uint64_t bytes = 0;
	size_t n = 0;

	cr_assert(zero(int, kt_template_list(templates_dir, &entries, &n, NULL)));
	cr_assert(eq(sz, n, 3), "a stage is none");
	for (size_t i = 0; i < n; i++) {
		cr_assert(eq(u64, entries[i].used_ns / KT_NSEC_PER_SEC, 3000 - 1000 * i));
		cr_assert(lt(u64, entries[i].disk_bytes, RAM_LEN / 2), "holes take no disk");
		bytes += entries[i].disk_bytes;
	}
	cr_assert(strstr(entries[0].what, "third") != NULL, "%s", entries[0].what);
	cr_assert(strstr(entries[0].what, "6.1-tiny, 6 CPUs") != NULL, "%s", entries[0].what);
	kt_template_entries_free(entries, n);
	return bytes;
}

TEMPLATE_TEST(the_least_recently_used_are_pruned_first_and_the_latest_never)
{
	KT_FREE char *staged = file_of("staged", ""), *stage = NULL;
	uint64_t bytes;

	cr_assert(zero(int, make("machine", "second", 2)));
	cr_assert(zero(int, make("machine", "third", 3)));
	cr_assert(zero(int, make("machine", "first", 1)));
	set_time("second", "", 2000);
	set_time("third", "", 3000);
	set_time("first", "", 1000);
	cr_assert(zero(int, kt_cache_stage(staged, &stage, NULL)));
	bytes = check_list();
	kt_template_prune(templates_dir, bytes);
	cr_assert(eq(sz, n_matching("*"), 4));
	kt_template_prune(templates_dir, bytes - 1);
	cr_assert(eq(sz, n_matching("*"), 3));
	cr_assert(not(is_there("first")));
	cr_assert(eq(u64, find("machine", "second", NULL), 2)); /* uses it */
	kt_template_prune(templates_dir, 0);
	cr_assert(is_there("second"));
	cr_assert(eq(sz, n_matching("*"), 2), "it and the stage");
}

/* ---- several builders -------------------------------------------------------------------------
 */

/* What a builder reports to its parent, and what the parent waits for. */
struct talk {
	int told[2];
	int go[2];
};

static void tell(void *data, char what)
{
	(void)write(((struct talk *)data)->told[1], &what, 1);
}

static void tell_waits(void *data)
{
	tell(data, 'w');
}

/* Stops in the middle of building until it is told to continue. */
static int build_slowly(struct talk *talk)
{
	struct kt_template_id id = id_of("machine", "program");
	KT_FREE char *path = kt_template_path(&id), *stage = NULL;
	char go;
	int r = kt_cache_stage(path, &stage, NULL) ?: write_ram(stage);

	if (r < 0)
		return r;
	tell(talk, 'b');
	if (read(talk->go[0], &go, 1) != 1)
		return -EPIPE;
	return write_state(stage) ?: publish(&id, stage, 1, NULL);
}

static pid_t start_builder(struct talk *talk)
{
	pid_t pid = fork();
	int lock;

	if (pid)
		return pid;
	(void)close(talk->go[1]);
	(void)alarm(60);
	if (kt_cache_lock("template-x", tell_waits, talk, &lock, NULL) < 0)
		_exit(1);
	if (find("machine", "program", NULL))
		tell(talk, 'f');
	else if (build_slowly(talk) == 0)
		tell(talk, 'p');
	_exit(0);
}

static char heard(const struct talk *talk)
{
	struct pollfd waiting = { .fd = talk->told[0], .events = POLLIN };
	char what = 0;

	cr_assert(eq(int, kt_poll(&waiting, 1, kt_now_ns() + PATIENCE), 1),
		  "timed out waiting for a builder to say something");
	cr_assert(eq(long, read(talk->told[0], &what, 1), 1));
	return what;
}

TEMPLATE_TEST(of_two_that_want_the_same_one_builds_and_the_other_finds_it)
{
	struct talk talk;

	cr_assert(zero(int, pipe(talk.told)));
	cr_assert(zero(int, pipe(talk.go)));
	(void)start_builder(&talk);
	(void)start_builder(&talk);
	cr_assert(eq(int, heard(&talk) + heard(&talk), 'b' + 'w'), "one builds, the other waits");
	cr_assert(eq(long, write(talk.go[1], "go", 2), 2));
	cr_assert(eq(int, heard(&talk), 'p'));
	cr_assert(eq(int, heard(&talk), 'f'));
	while (wait(NULL) > 0)
		;
	cr_assert(eq(sz, n_matching("*"), 1));
}

TEMPLATE_TEST(a_builder_that_is_killed_leaves_nothing_in_the_way)
{
	struct talk talk;
	pid_t pid;
	int lock;

	cr_assert(zero(int, pipe(talk.told)));
	cr_assert(zero(int, pipe(talk.go)));
	pid = start_builder(&talk);
	cr_assert(eq(int, heard(&talk), 'b'));
	cr_assert(zero(int, kill(pid, SIGKILL)));
	cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
	cr_assert(eq(sz, n_matching("*" KT_CACHE_STAGE_SUFFIX "*"), 1), "it was in the middle");
	cr_assert(zero(u64, find("machine", "program", NULL)));
	cr_assert(zero(int, kt_cache_lock("template-x", tell_waits, &talk, &lock, NULL)));
	tell(&talk, 'l');
	cr_assert(eq(int, heard(&talk), 'l'), "nobody has to be waited for");
	cr_assert(zero(int, make("machine", "program", 2)));
	cr_assert(zero(sz, n_matching("*" KT_CACHE_STAGE_SUFFIX "*")), "what it left is gone");
	cr_assert(eq(u64, find("machine", "program", NULL), 2));
	(void)close(lock);
}

/* ---- a full disk ------------------------------------------------------------------------------
 */

static void mount_small_disk(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", templates_dir, "tmpfs", 0, "size=128k") < 0)
		cr_skip_test("mounting a small file system: %s", strerror(errno));
}

static void fill_disk(void)
{
	KT_FREE char *path = kt_format("%s/.ballast", templates_dir);
	KT_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	char page[4096] = "ballast";

	while (write(fd, page, sizeof(page)) > 0)
		;
	cr_assert(eq(int, errno, ENOSPC));
}

TEMPLATE_TEST(a_full_disk_publishes_nothing)
{
	struct kt_template_id id = id_of("machine", "program");
	KT_FREE char *path = kt_template_path(&id), *stage = NULL;
	struct kt_err err = KT_ERR_NULL;

	mount_small_disk();
	cr_assert(zero(int, kt_cache_stage(path, &stage, NULL)));
	cr_assert(zero(int, write_ram(stage) ?: write_state(stage)));
	fill_disk();
	cr_assert(eq(int, publish(&id, stage, 1, &err), -ENOSPC), "%s", err.text);
	cr_assert(strstr(err.text, "meta.json") != NULL, "%s", err.text);
	cr_assert(zero(u64, find("machine", "program", NULL)));
	(void)umount2(templates_dir, MNT_DETACH);
}

TEMPLATE_TEST(a_full_disk_takes_no_copy_of_another_templates_ram)
{
	struct kt_template_id base_id = id_of("machine", "base");
	struct kt_template base = KT_TEMPLATE_NULL;
	struct kt_template_build build = { .id = id_of("machine", "program"), .base = &base };
	struct kt_err err = KT_ERR_NULL;

	mount_small_disk();
	cr_assert(zero(int, make("machine", "base", 1)));
	cr_assert(eq(int, kt_template_find(&base_id, &base, NULL), 1));
	fill_disk();
	cr_assert(eq(int, kt_template_build(&build, &err), -ENOSPC), "%s", err.text);
	cr_assert(strstr(err.text, "copying the RAM of a template to '") != NULL, "%s", err.text);
	cr_assert(eq(sz, n_matching("*"), 1), "only the base is there");
	kt_template_deinit(&base);
	(void)umount2(templates_dir, MNT_DETACH);
}
