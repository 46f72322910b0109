// ExportError.swift: why an export cannot be made.

package enum ExportError: Error, Hashable, Sendable, CustomStringConvertible {
    case noMemoryToCompress

    package var description: String {
        switch self {
        case .noMemoryToCompress: "there is too little memory to compress the profile; close other programs, or export to another format"
        }
    }
}
