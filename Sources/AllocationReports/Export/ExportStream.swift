// ExportStream.swift: collects small writes into pieces for whoever takes the export.

/// Text and bytes on their way out.
final class ExportStream {
    private static let pieceSize = 1 << 16

    private var piece: [UInt8] = []
    private let sink: ([UInt8]) throws -> Void

    init(_ sink: @escaping (_ piece: [UInt8]) throws -> Void) {
        self.sink = sink
        piece.reserveCapacity(ExportStream.pieceSize)
    }

    func put(_ text: String) throws { try put(bytes: text.utf8) }

    func put(bytes: some Collection<UInt8>) throws {
        piece.append(contentsOf: bytes)
        if piece.count >= ExportStream.pieceSize { try flush() }
    }

    /// Hands over what is left.
    func flush() throws {
        guard !piece.isEmpty else { return }
        try sink(piece)
        piece.removeAll(keepingCapacity: true)
    }
}
