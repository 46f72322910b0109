// CPreload: placeholder.
__attribute__((section(".swift1_autolink_entries"), used, retain)) static const char as_needed[] = "-Wl,--as-needed";
