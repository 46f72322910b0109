// MangledType+Identifiers.swift: names in mangled types, whose words may repeat words of earlier names.

extension MangledType {
    mutating func identifier() -> Bool {
        var repeatsWords = false
        if nextIf("0") {
            // Names in other scripts are encoded once more; nothing that has a layout depends on them.
            if nextIf("0") { return false }
            repeatsWords = true
        }
        var text = ""
        repeat {
            while repeatsWords, position < bytes.count, isLetter(bytes[position]) {
                let letter = bytes[position]
                position += 1
                let isLast = letter < UInt8(ascii: "a")
                let word = Int(letter - UInt8(ascii: isLast ? "A" : "a"))
                guard word < words.count else { return false }
                text += words[word]
                if isLast { repeatsWords = false }
            }
            if nextIf("0") { break }
            guard let count = natural(), count > 0, position + count <= bytes.count else { return false }
            let slice = bytes[position..<position + count]
            position += count
            collectWords(of: Array(slice))
            text += String(decoding: slice, as: UTF8.self)
        } while repeatsWords
        return text.isEmpty ? false : remember(.identifier(text))
    }

    private func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }

    private mutating func collectWords(of text: [UInt8]) {
        var start: Int?
        for index in 0...text.count {
            let byte = index < text.count ? text[index] : 0
            if let from = start {
                let previous = text[index - 1]
                let ends = byte == 0 || byte == UInt8(ascii: "_") || (!(0x41...0x5A).contains(previous) && (0x41...0x5A).contains(byte))
                if ends {
                    if index - from >= 2, words.count < 26 { words.append(String(decoding: text[from..<index], as: UTF8.self)) }
                    start = nil
                }
            }
            if start == nil, byte != 0, byte != UInt8(ascii: "_"), !(0x30...0x39).contains(byte) { start = index }
        }
    }
}
