// CSQLite.h: SQLite, the container of snapshot files.
#include <sqlite3.h>
