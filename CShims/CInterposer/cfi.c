// cfi.c: reads .eh_frame_hdr and .eh_frame, and runs a CFA program up to one address.
//
// Only three columns matter to a rule: the CFA, the frame pointer and the return address. The others are skipped over.
#include "cfi.h"

#include "cpu.h"

#include <string.h>

// ---- Bounded reading: a read beyond the end yields zeros and sets `bad`.
struct reader {
    const uint8_t *at, *end;
    int bad;
};

static uint64_t read_fixed(struct reader *reader, size_t size) {
    uint64_t value = 0;
    if ((size_t)(reader->end - reader->at) < size) {
        reader->bad = 1;
        reader->at = reader->end;
        return 0;
    }
    for (size_t i = 0; i < size; i++) value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += size;
    return value;
}

static uint64_t read_leb(struct reader *reader, int is_signed) {
    uint64_t value = 0, byte;
    unsigned shift = 0;
    do {
        byte = read_fixed(reader, 1);
        if (shift < 64) value |= (byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) && !reader->bad);
    if (is_signed && (byte & 0x40) && shift < 64) value |= ~UINT64_C(0) << shift;
    return value;
}

static uint64_t read_uleb(struct reader *reader) { return read_leb(reader, 0); }
static int64_t read_sleb(struct reader *reader) { return (int64_t)read_leb(reader, 1); }

static void skip(struct reader *reader, uint64_t size) {
    if (size > (uint64_t)(reader->end - reader->at)) reader->bad = 1, size = (uint64_t)(reader->end - reader->at);
    reader->at += size;
}

enum { ENCODING_OMIT = 0xff, ENCODING_FORM = 0x0f, ENCODING_BASE = 0x70, ENCODING_INDIRECT = 0x80 };
enum { BASE_ABSOLUTE = 0, BASE_HERE = 0x10, BASE_DATA = 0x30, BASE_ALIGNED = 0x50 };

// A pointer as DW_EH_PE_* says. Indirect pointers (personalities only) are stepped over, not followed.
static uintptr_t read_encoded(struct reader *reader, unsigned encoding, uintptr_t data) {
    if (encoding == ENCODING_OMIT) return 0;
    uintptr_t here = (uintptr_t)reader->at, value = 0;
    if ((encoding & ENCODING_BASE) == BASE_ALIGNED) {
        skip(reader, -here % sizeof value);
        return read_fixed(reader, sizeof value);
    }
    switch (encoding & ENCODING_FORM) {
    case 0x0: case 0x4: case 0xc: value = read_fixed(reader, 8); break;
    case 0x1: value = read_uleb(reader); break;
    case 0x2: value = read_fixed(reader, 2); break;
    case 0x3: value = read_fixed(reader, 4); break;
    case 0x9: value = (uintptr_t)read_sleb(reader); break;
    case 0xa: value = (uintptr_t)(int16_t)read_fixed(reader, 2); break;
    case 0xb: value = (uintptr_t)(int32_t)read_fixed(reader, 4); break;
    default: reader->bad = 1; return 0;
    }
    if (value == 0) return 0;
    switch (encoding & ENCODING_BASE) {
    case BASE_ABSOLUTE: return value;
    case BASE_HERE: return value + here;
    case BASE_DATA: return value + data;
    default: reader->bad = 1; return 0;
    }
}

static struct reader reader_at(const struct tm_module *module, uintptr_t address) {
    struct tm_bytes bytes = tm_module_bytes(module, address);
    return (struct reader){bytes.at, bytes.end, bytes.at == NULL};
}

// ---- CIE and FDE
struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint64_t return_column;
    unsigned encoding;
    int is_signal, has_sizes;
    struct reader program;
};

struct fde {
    struct cie cie;
    uintptr_t start, end;
    struct reader program;
};

// Reads a length and narrows the reader to the record behind it. 0: the terminator, or not a record.
static int enter_record(struct reader *reader, int *wide) {
    uint64_t length = read_fixed(reader, 4);
    *wide = length == 0xffffffff;
    if (*wide) length = read_fixed(reader, 8);
    if (reader->bad || length == 0 || length > (uint64_t)(reader->end - reader->at)) return 0;
    reader->end = reader->at + length;
    return 1;
}

static int read_cie(const struct tm_module *module, uintptr_t at, struct cie *cie) {
    struct reader reader = reader_at(module, at);
    int wide;
    if (reader.bad || !enter_record(&reader, &wide) || read_fixed(&reader, wide ? 8 : 4) != 0) return 0;
    unsigned version = (unsigned)read_fixed(&reader, 1);
    if (version != 1 && version != 3 && version != 4) return 0;
    const char *augmentation = (const char *)reader.at;
    while (read_fixed(&reader, 1) != 0 && !reader.bad) {}
    if (reader.bad) return 0;
    if (augmentation[0] == 'e' && augmentation[1] == 'h') {
        skip(&reader, sizeof(uintptr_t));
        augmentation += 2;
    }
    if (version == 4) skip(&reader, 2);
    *cie = (struct cie){.code_align = read_uleb(&reader), .encoding = BASE_ABSOLUTE};
    cie->data_align = read_sleb(&reader);
    cie->return_column = version == 1 ? read_fixed(&reader, 1) : read_uleb(&reader);
    if (augmentation[0] == 'z') {
        cie->has_sizes = 1;
        uint64_t size = read_uleb(&reader);
        struct reader data = reader;
        skip(&reader, size);
        data.end = reader.at;
        int known = 1;
        for (const char *letter = augmentation + 1; *letter && known; letter++) {
            switch (*letter) {
            case 'R': cie->encoding = (unsigned)read_fixed(&data, 1); break;
            case 'L': read_fixed(&data, 1); break;
            case 'P': read_encoded(&data, (unsigned)read_fixed(&data, 1), 0); break;
            case 'S': cie->is_signal = 1; break;
            case 'B': break;
            default: known = 0; break;
            }
        }
        if (data.bad) return 0;
    } else if (augmentation[0] != '\0') {
        return 0;
    }
    cie->program = reader;
    return !reader.bad;
}

enum fde_result { FDE_BAD, FDE_NONE, FDE_READ };

// `next` is the record behind this one, for a walk through all of them.
static enum fde_result read_fde(const struct tm_module *module, uintptr_t at, struct fde *fde, uintptr_t *next) {
    struct reader reader = reader_at(module, at);
    int wide;
    *next = 0;
    if (reader.bad || !enter_record(&reader, &wide)) return FDE_BAD;
    *next = (uintptr_t)reader.end;
    uintptr_t here = (uintptr_t)reader.at;
    uint64_t distance = read_fixed(&reader, wide ? 8 : 4);
    if (distance == 0) return FDE_NONE;  // a CIE
    if (reader.bad || !read_cie(module, here - distance, &fde->cie)) return FDE_BAD;
    fde->start = read_encoded(&reader, fde->cie.encoding, 0);
    fde->end = fde->start + read_encoded(&reader, fde->cie.encoding & ENCODING_FORM, 0);
    if (fde->cie.has_sizes) skip(&reader, read_uleb(&reader));
    fde->program = reader;
    return reader.bad ? FDE_BAD : FDE_READ;
}

// ---- Finding the FDE of an address
enum { INDEX_DATA_SDATA4 = 0x3b };

static enum fde_result search_all(const struct tm_module *module, uintptr_t frames, uintptr_t address, struct fde *fde) {
    struct tm_bytes bytes = tm_module_bytes(module, frames);
    if (!bytes.at) return FDE_BAD;
    while (frames < (uintptr_t)bytes.end) {
        uintptr_t next;
        enum fde_result result = read_fde(module, frames, fde, &next);
        if (next == 0) return FDE_NONE;
        if (result == FDE_READ && address - fde->start < fde->end - fde->start) return FDE_READ;
        frames = next;
    }
    return FDE_NONE;
}

int tm_cfi_index(const struct tm_module *module, struct tm_index *index) {
    uintptr_t header = (uintptr_t)module->index;
    struct reader reader = reader_at(module, header);
    *index = (struct tm_index){0};
    if (!module->index || reader.bad || read_fixed(&reader, 1) != 1) return 0;
    unsigned frames_encoding = (unsigned)read_fixed(&reader, 1), count_encoding = (unsigned)read_fixed(&reader, 1);
    unsigned table_encoding = (unsigned)read_fixed(&reader, 1);
    uintptr_t frames = read_encoded(&reader, frames_encoding, header);
    uint64_t count = read_encoded(&reader, count_encoding, header);
    if (reader.bad) return 0;
    index->frames = frames;
    if (count_encoding == ENCODING_OMIT || table_encoding != INDEX_DATA_SDATA4) return 0;
    if (count > (uint64_t)(reader.end - reader.at) / (2 * sizeof(int32_t))) return 0;
    index->entries = reader.at;
    index->count = count;
    return 1;
}

static enum fde_result find_fde(const struct tm_module *module, uintptr_t address, struct fde *fde) {
    struct tm_index index;
    if (!tm_cfi_index(module, &index)) return index.frames ? search_all(module, index.frames, address, fde) : FDE_BAD;

    // The last entry that starts at or before the address.
    uintptr_t header = (uintptr_t)module->index, next;
    uint64_t low = 0, high = index.count;
    int32_t entry[2];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        __builtin_memcpy(entry, index.entries + sizeof entry * middle, sizeof entry);
        if (header + (uintptr_t)entry[0] <= address) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return FDE_NONE;
    __builtin_memcpy(entry, index.entries + sizeof entry * (low - 1), sizeof entry);
    if (read_fde(module, header + (uintptr_t)entry[1], fde, &next) != FDE_READ) return FDE_BAD;
    return address - fde->start < fde->end - fde->start ? FDE_READ : FDE_NONE;
}

// ---- CFA programs
enum place { PLACE_SAME, PLACE_AT_CFA, PLACE_AT_FP, PLACE_UNDEFINED, PLACE_ODD };

struct column {
    enum place place;
    int64_t offset;
};

enum cfa_kind { CFA_REGISTER, CFA_FP_WORD, CFA_ODD };

struct row {
    enum cfa_kind cfa;
    uint64_t cfa_register;
    int64_t cfa_offset;
    struct column fp, sp, pc, other;  // `other` takes what is said of registers that do not matter
};

static struct column *column_of(struct row *row, uint64_t number) {
    return number == TM_CPU_FP ? &row->fp : number == TM_CPU_SP ? &row->sp : number == TM_CPU_RETURN ? &row->pc : &row->other;
}

// Recognizes "fp + offset", with a load behind it or without; a reader at the end of the expression otherwise unread.
static int is_fp_expression(struct reader expression, int with_load, int64_t *offset) {
    if (read_fixed(&expression, 1) != TM_CPU_OP_FP_PLUS) return 0;
    *offset = read_sleb(&expression);
    if (with_load && read_fixed(&expression, 1) != TM_CPU_OP_LOAD) return 0;
    return !expression.bad && expression.at == expression.end;
}

static struct reader read_expression(struct reader *reader) {
    struct reader expression = *reader;
    uint64_t size = read_uleb(&expression);
    *reader = expression;
    skip(reader, size);
    expression.end = reader->at;
    expression.bad = reader->bad;
    return expression;
}

#define STATES_MAX 16  // nesting of remember_state; compilers use one or two

// Runs until the row of `address`, or to the end. 0: malformed, or an operation of another CPU.
static int run(const struct fde *fde, struct reader reader, uintptr_t address, const struct row *initial, struct row *row) {
    struct row states[STATES_MAX];
    unsigned depth = 0;
    uintptr_t location = fde->start;
    const struct cie *cie = &fde->cie;
    while (reader.at < reader.end && !reader.bad) {
        unsigned operation = (unsigned)read_fixed(&reader, 1), low = operation & 0x3f;
        uint64_t advance = 0, number;
        switch (operation & 0xc0 ? operation & 0xc0 : operation) {
        case 0x40: advance = low; break;
        case 0x80: *column_of(row, low) = (struct column){PLACE_AT_CFA, (int64_t)(read_uleb(&reader) * (uint64_t)cie->data_align)}; break;
        case 0xc0: *column_of(row, low) = *column_of((struct row *)initial, low); break;
        case 0x00: break;
        case 0x01:  // set_loc
            location = read_encoded(&reader, cie->encoding, 0);
            if (location > address) return !reader.bad;
            break;
        case 0x02: advance = read_fixed(&reader, 1); break;
        case 0x03: advance = read_fixed(&reader, 2); break;
        case 0x04: advance = read_fixed(&reader, 4); break;
        case 0x05:  // offset_extended
            number = read_uleb(&reader);
            *column_of(row, number) = (struct column){PLACE_AT_CFA, (int64_t)(read_uleb(&reader) * (uint64_t)cie->data_align)};
            break;
        case 0x06:  // restore_extended
            number = read_uleb(&reader);
            *column_of(row, number) = *column_of((struct row *)initial, number);
            break;
        case 0x07: column_of(row, read_uleb(&reader))->place = PLACE_UNDEFINED; break;
        case 0x08: column_of(row, read_uleb(&reader))->place = PLACE_SAME; break;
        case 0x09:  // register
            column_of(row, read_uleb(&reader))->place = PLACE_ODD;
            read_uleb(&reader);
            break;
        case 0x0a:  // remember_state
            if (depth == STATES_MAX) return 0;
            states[depth++] = *row;
            break;
        case 0x0b:  // restore_state
            if (depth == 0) return 0;
            *row = states[--depth];
            break;
        case 0x0c:  // def_cfa
            row->cfa = CFA_REGISTER;
            row->cfa_register = read_uleb(&reader);
            row->cfa_offset = (int64_t)read_uleb(&reader);
            break;
        case 0x0d:  // def_cfa_register
            row->cfa = CFA_REGISTER;
            row->cfa_register = read_uleb(&reader);
            break;
        case 0x0e: row->cfa_offset = (int64_t)read_uleb(&reader); break;
        case 0x0f:  // def_cfa_expression
            row->cfa = is_fp_expression(read_expression(&reader), 1, &row->cfa_offset) ? CFA_FP_WORD : CFA_ODD;
            break;
        case 0x10: {  // expression
            struct column *column = column_of(row, read_uleb(&reader));
            column->place = is_fp_expression(read_expression(&reader), 0, &column->offset) ? PLACE_AT_FP : PLACE_ODD;
            break;
        }
        case 0x11:  // offset_extended_sf
            number = read_uleb(&reader);
            *column_of(row, number) = (struct column){PLACE_AT_CFA, (int64_t)((uint64_t)read_sleb(&reader) * (uint64_t)cie->data_align)};
            break;
        case 0x12:  // def_cfa_sf
            row->cfa = CFA_REGISTER;
            row->cfa_register = read_uleb(&reader);
            row->cfa_offset = (int64_t)((uint64_t)read_sleb(&reader) * (uint64_t)cie->data_align);
            break;
        case 0x13: row->cfa_offset = (int64_t)((uint64_t)read_sleb(&reader) * (uint64_t)cie->data_align); break;
        case 0x14: case 0x15:  // val_offset, val_offset_sf
            column_of(row, read_uleb(&reader))->place = PLACE_ODD;
            read_uleb(&reader);
            break;
        case 0x16:  // val_expression
            column_of(row, read_uleb(&reader))->place = PLACE_ODD;
            read_expression(&reader);
            break;
        case 0x2e: read_uleb(&reader); break;  // GNU_args_size
        case 0x2f:  // GNU_negative_offset_extended
            number = read_uleb(&reader);
            *column_of(row, number) = (struct column){PLACE_AT_CFA, (int64_t)(-read_uleb(&reader) * (uint64_t)cie->data_align)};
            break;
        default: return 0;
        }
        location += advance * cie->code_align;
        if (location > address) break;
    }
    return !reader.bad;
}

static struct tm_rule rule_of_row(const struct row *row) {
    struct tm_rule rule = {.kind = TM_RULE_FOREIGN}, foreign = rule;
    if (row->pc.place == PLACE_UNDEFINED || row->fp.place == PLACE_UNDEFINED) return (struct tm_rule){.kind = TM_RULE_END};
    if (row->pc.place != PLACE_AT_CFA || row->pc.offset != TM_CPU_RETURN_AT_CFA || row->sp.place != PLACE_SAME) return foreign;
    if (row->cfa == CFA_FP_WORD) rule.base = TM_BASE_FP_WORD;
    else if (row->cfa == CFA_REGISTER && row->cfa_register == TM_CPU_SP) rule.base = TM_BASE_SP;
    else if (row->cfa == CFA_REGISTER && row->cfa_register == TM_CPU_FP) rule.base = TM_BASE_FP;
    else return foreign;
    switch (row->fp.place) {
    case PLACE_SAME: rule.saved = TM_SAVED_NOT; break;
    case PLACE_AT_CFA: rule.saved = TM_SAVED_AT_CFA; break;
    case PLACE_AT_FP: rule.saved = TM_SAVED_AT_FP; break;
    default: return foreign;
    }
    int64_t fp_offset = rule.saved == TM_SAVED_NOT ? 0 : row->fp.offset;
    if (row->cfa_offset != (int32_t)row->cfa_offset || fp_offset != (int16_t)fp_offset) return foreign;
    rule.kind = TM_RULE_FRAME;
    rule.cfa_offset = (int32_t)row->cfa_offset;
    rule.fp_offset = (int16_t)fp_offset;
    return rule;
}

struct tm_rule tm_cfi_rule(const struct tm_module *module, uintptr_t address, uintptr_t *function) {
    *function = 0;
    struct tm_rule foreign = {.kind = TM_RULE_FOREIGN};
    if (!module->index) return foreign;  // .eh_frame may be there all the same, but cannot be found from here
    struct fde fde = {0};
    switch (find_fde(module, address, &fde)) {
    case FDE_BAD: return foreign;
    case FDE_NONE: *function = fde.end; return (struct tm_rule){.kind = TM_RULE_GUESSED};
    case FDE_READ: *function = fde.start; break;
    }
    if (fde.cie.is_signal || fde.cie.return_column != TM_CPU_RETURN) return foreign;
    struct row row = {.cfa = CFA_ODD};
    if (!run(&fde, fde.cie.program, UINTPTR_MAX, &row, &row)) return foreign;
    struct row initial = row;
    if (!run(&fde, fde.program, address, &initial, &row)) return foreign;
    return rule_of_row(&row);
}
