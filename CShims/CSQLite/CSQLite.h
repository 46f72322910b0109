// CSQLite.h: SQLite, the container of snapshot files, and what Swift cannot say of it.
#pragma once
#include <sqlite3.h>

/// Makes SQLite copy a bound value (the original is a cast that Swift does not import).
static inline sqlite3_destructor_type csqlite_transient(void) { return SQLITE_TRANSIENT; }

/// Makes SQLite count no memory, which it does under a lock. Before its first use in a process. (Variadic as well.)
static inline int csqlite_forgo_memory_figures(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

/// Prepares a connection for a file from anywhere: its schema may not call functions or change anything.
/// (The original is variadic, so out of Swift's reach.)
static inline int csqlite_distrust(sqlite3 *database) {
    int failed = sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
    failed |= sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
    failed |= sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)0);
    failed |= sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)0);
    return failed;
}
