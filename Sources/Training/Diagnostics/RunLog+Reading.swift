import FoundationEssentials

extension RunLog {
    /// One line of `metrics.jsonl`, as far as it is understood.
    public struct Entry: Decodable, Sendable {
        public var step: Int
        public var learningRate: Double?
        public var epsilon: Double?
        public var loss: Double?
        public var clippedShare: Double?
        public var medianNorm: Double?
        public var largestNorm: Double?
    }

    /// Whether a folder holds a log.
    public static func exists(in folder: String) -> Bool { fileKind(metricsFile(folder)) == .regular }

    /// The steps logged in a folder, by number. Of one that was lost and taken again, the last; a line that is still being
    /// written is left out.
    /// - Throws: `DataError` if the log cannot be read or holds another line that is none.
    public static func entries(in folder: String) throws -> [Entry] {
        let path = metricsFile(folder)
        let region = try ByteRegion.map(file: path)
        var lines = region.bytes(0, region.count).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        lines.removeLast()
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        var entries: [Int: Entry] = [:]
        for (index, line) in lines.enumerated() {
            guard let entry = try? decoder.decode(Entry.self, from: Data(line)) else {
                throw DataError(.malformed, "is no step of a training log", at: .init(file: path, line: index + 1))
            }
            entries[entry.step] = entry
        }
        return entries.values.sorted { $0.step < $1.step }
    }

    /// What `run.json` says of the run.
    /// - Throws: `DataError` if it cannot be read.
    public static func description<Value: Decodable>(in folder: String, as type: Value.Type) throws -> Value {
        try decoded(runFile(folder), as: type)
    }

    /// What `validation.json` says; nil if there is none.
    /// - Throws: `DataError` if it cannot be read.
    public static func validation<Value: Decodable>(in folder: String, as type: Value.Type) throws -> Value? {
        let path = validationFile(folder)
        return fileKind(path) == .absent ? nil : try decoded(path, as: type)
    }

    private static func decoded<Value: Decodable>(_ path: String, as type: Value.Type) throws -> Value {
        let region = try ByteRegion.map(file: path)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        guard let value = try? decoder.decode(type, from: Data(region.bytes(0, region.count))) else {
            throw DataError(.malformed, "is not what train writes", at: .init(file: path))
        }
        return value
    }
}
