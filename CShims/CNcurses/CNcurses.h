// CNcurses.h: the screen of a terminal, by the library that knows all of them. Swift sees functions only: what ncurses offers are
// macros over variables of its own.
#ifndef CNCURSES_H
#define CNCURSES_H

#define NCURSES_WIDECHAR 1
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

// Whether the user's locale writes UTF-8. To be called first: the library asks the locale how wide characters are.
static inline int tm_screen_set_locale(void) {
    setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

enum {
    TM_COLOR_NONE,
    TM_COLOR_WARNING,
    TM_COLOR_GROWN,
    TM_COLOR_SHRUNK,
    TM_COLOR_CHART,
};

// Takes the terminal over; 0 when it is one that cannot be drawn on. Keys come one by one, none is a signal.
static inline int tm_screen_open(FILE *output, FILE *input, int colors) {
    if (!newterm(NULL, output, input)) return 0;
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    meta(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    if (colors && has_colors()) {
        start_color();
        use_default_colors();
        init_pair(TM_COLOR_WARNING, COLOR_YELLOW, -1);
        init_pair(TM_COLOR_GROWN, COLOR_RED, -1);
        init_pair(TM_COLOR_SHRUNK, COLOR_GREEN, -1);
        init_pair(TM_COLOR_CHART, COLOR_BLUE, -1);
    }
    return 1;
}

static inline void tm_screen_close(void) { endwin(); }
static inline int tm_screen_rows(void) { return getmaxy(stdscr); }
static inline int tm_screen_columns(void) { return getmaxx(stdscr); }
static inline void tm_screen_begin(void) { werase(stdscr); }
static inline void tm_screen_move(int row, int column) { wmove(stdscr, row, column); }

static inline void tm_screen_put(const char *text, int bold, int dim, int reverse, int color) {
    attr_t style = (bold ? A_BOLD : A_NORMAL) | (dim ? A_DIM : A_NORMAL) | (reverse ? A_REVERSE : A_NORMAL);
    if (color && COLORS > 0) style |= COLOR_PAIR(color);
    wattrset(stdscr, (int)style);
    waddnstr(stdscr, text, -1);
    wattrset(stdscr, A_NORMAL);
}

static inline void tm_screen_end(void) { wrefresh(stdscr); }
// The terminal may show anything: draw all of it.
static inline void tm_screen_redraw(void) { clearok(stdscr, TRUE); }

enum {
    TM_KEY_NONE = -1,
    TM_KEY_RESIZE = -2,
    TM_KEY_UP = -3,
    TM_KEY_DOWN = -4,
    TM_KEY_LEFT = -5,
    TM_KEY_RIGHT = -6,
    TM_KEY_PAGE_UP = -7,
    TM_KEY_PAGE_DOWN = -8,
    TM_KEY_HOME = -9,
    TM_KEY_END = -10,
    TM_KEY_ENTER = -11,
    TM_KEY_BACKSPACE = -12,
    TM_KEY_OTHER = -13,
};

// The next key within some milliseconds: a character, or one of the names above.
static inline int tm_screen_key(int milliseconds) {
    wint_t key = 0;
    wtimeout(stdscr, milliseconds);
    switch (wget_wch(stdscr, &key)) {
    case OK: return key == '\r' || key == '\n' ? TM_KEY_ENTER : key == 127 || key == 8 ? TM_KEY_BACKSPACE : (int)key;
    case KEY_CODE_YES: break;
    default: return TM_KEY_NONE;
    }
    switch (key) {
    case KEY_RESIZE: return TM_KEY_RESIZE;
    case KEY_UP: return TM_KEY_UP;
    case KEY_DOWN: return TM_KEY_DOWN;
    case KEY_LEFT: return TM_KEY_LEFT;
    case KEY_RIGHT: return TM_KEY_RIGHT;
    case KEY_PPAGE: return TM_KEY_PAGE_UP;
    case KEY_NPAGE: return TM_KEY_PAGE_DOWN;
    case KEY_HOME: return TM_KEY_HOME;
    case KEY_END: return TM_KEY_END;
    case KEY_ENTER: return TM_KEY_ENTER;
    case KEY_BACKSPACE: return TM_KEY_BACKSPACE;
    default: return TM_KEY_OTHER;
    }
}

// What brings a terminal back to where shells want it, for a process that outlives the one that took it over.
static inline const char *tm_screen_leaving(int part) {
    static const char *const names[] = {"rmkx", "sgr0", "cnorm", "rmcup"};
    if (part < 0 || part >= (int)(sizeof names / sizeof *names)) return NULL;
    const char *text = tigetstr(names[part]);
    return text == (const char *)-1 || !text ? "" : text;
}

#endif
