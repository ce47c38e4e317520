/* SPDX-License-Identifier: MIT */
/* Machines of one template share nothing that a test does, and differ where they must. */
#include <ktest.h>

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ONE_CPU  .topology = { .llcs = 1, .cores = 1 }
#define FILE_A   "/leak_file"
#define PIN      "/sys/fs/bpf/leak_map"
#define MAP_NAME "leak_map"
#define SYSCTL   "/proc/sys/kernel/sched_rt_period_us"
#define SHM_KEY  0x6c65616b
#define SHM_LEN  ((size_t)32 << 20)
#define CGROUP   "/sys/fs/cgroup/leak"

/* ---- what could be left behind --------------------------------------------------------------- */

static int sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int plant_file(struct kt_ctx *ctx)
{
	FILE *file = fopen(FILE_A, "we");

	KT_ASSERT(ctx, file);
	KT_ASSERT_GE(ctx, fputs("left behind\n", file), 0);
	KT_ASSERT_EQ(ctx, fclose(file), 0);
	KT_ASSERT_EQ(ctx, mkdir(CGROUP, 0755), 0);
	return 0;
}

static int plant_bpf(struct kt_ctx *ctx)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
		.map_name = MAP_NAME,
	};
	union bpf_attr pin = { .pathname = (uintptr_t)PIN };
	int fd = sys_bpf(BPF_MAP_CREATE, &map);

	KT_ASSERT_GE(ctx, fd, 0);
	pin.bpf_fd = (uint32_t)fd;
	KT_ASSERT_EQ(ctx, sys_bpf(BPF_OBJ_PIN, &pin), 0);
	KT_ASSERT_EQ(ctx, close(fd), 0);
	return 0;
}

static long read_sysctl(void)
{
	char text[32] = "";
	int fd = open(SYSCTL, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	return n > 0 ? strtol(text, NULL, 10) : -1;
}

static int plant_sysctl(struct kt_ctx *ctx)
{
	int fd = open(SYSCTL, O_WRONLY | O_CLOEXEC);

	KT_ASSERT_GE(ctx, fd, 0);
	KT_ASSERT_EQ(ctx, write(fd, "2000000", 7), 7);
	KT_ASSERT_EQ(ctx, close(fd), 0);
	KT_ASSERT_EQ(ctx, read_sysctl(), 2000000);
	return 0;
}

/* 32 MiB that remain after the process has ended. */
static int plant_memory(struct kt_ctx *ctx)
{
	int id = shmget(SHM_KEY, SHM_LEN, IPC_CREAT | IPC_EXCL | 0600);
	char *memory = shmat(id, NULL, 0);

	KT_ASSERT_GE(ctx, id, 0);
	KT_ASSERT(ctx, memory != (void *)-1);
	memset(memory, 0xa5, SHM_LEN);
	KT_ASSERT_EQ(ctx, shmdt(memory), 0);
	return 0;
}

static int plant_all(struct kt_ctx *ctx)
{
	return plant_file(ctx) ?: plant_bpf(ctx) ?: plant_sysctl(ctx) ?: plant_memory(ctx);
}

/* ---- and who looks for it -------------------------------------------------------------------- */

static bool map_exists(void)
{
	union bpf_attr next = { .start_id = 0 };

	while (sys_bpf(BPF_MAP_GET_NEXT_ID, &next) == 0) {
		union bpf_attr by_id = { .map_id = next.next_id };
		struct bpf_map_info info = { .type = 0 };
		union bpf_attr get = {
			.info = { .info_len = sizeof(info), .info = (uintptr_t)&info },
		};
		bool same;
		int fd = sys_bpf(BPF_MAP_GET_FD_BY_ID, &by_id);

		get.info.bpf_fd = (uint32_t)fd;
		same = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &get) == 0 && !strcmp(info.name, MAP_NAME);
		(void)close(fd);
		if (same)
			return true;
		next.start_id = next.next_id;
	}
	return false;
}

/* A bit for each trace that plant_all() leaves. */
static unsigned int look_all(void)
{
	return (access(FILE_A, F_OK) == 0) << 0 | (access(CGROUP, F_OK) == 0) << 1 |
	       (access(PIN, F_OK) == 0) << 2 | map_exists() << 3 | (read_sysctl() == 2000000) << 4 |
	       (shmget(SHM_KEY, 0, 0600) >= 0) << 5;
}

static int plant_run(struct kt_ctx *ctx)
{
	int r = plant_all(ctx);

	if (r == 0)
		KT_ASSERT_EQ(ctx, look_all(), 0x3f);
	return r;
}

KTEST(leak_plant,
      .summary = "leaves a file, a cgroup, a BPF map, a sysctl and memory behind, and sees them",
      ONE_CPU, .run = plant_run);

static int look_run(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, look_all(), 0);
	return 0;
}

KTEST(leak_look, .summary = "sees nothing of what another test has left behind", ONE_CPU,
      .run = look_run);

/* ---- what must differ ------------------------------------------------------------------------ */

/* tests/checks/fork.py compares what several machines print. */
static int identity_run(struct kt_ctx *ctx)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	struct timespec now;
	uint64_t random = 0, urandom = 0;
	char boot_id[64] = "";
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	KT_ASSERT(ctx, file);
	KT_ASSERT(ctx, fgets(boot_id, sizeof(boot_id), file));
	(void)fclose(file);
	boot_id[strcspn(boot_id, "\n")] = '\0';
	KT_ASSERT_EQ(ctx, getrandom(&random, sizeof(random), 0), (ssize_t)sizeof(random));
	KT_ASSERT_EQ(ctx, read(fd, &urandom, sizeof(urandom)), (ssize_t)sizeof(urandom));
	KT_ASSERT_EQ(ctx, close(fd), 0);
	KT_ASSERT_EQ(ctx, clock_gettime(CLOCK_REALTIME, &now), 0);
	KT_ASSERT_EQ(ctx, getpid(), 1);
	printf("identity %s %016llx %016llx %lld.%09ld\n", boot_id, (unsigned long long)random,
	       (unsigned long long)urandom, (long long)now.tv_sec, now.tv_nsec);
	return 0;
}

KTEST(fork_identity, .summary = "prints what must differ between machines of one template", ONE_CPU,
      .run = identity_run);
