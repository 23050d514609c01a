/// The tensors of a checkpoint by their names in the program: .safetensors, .npz, a PyTorch file (.pt, .pth, .bin), or
/// the index of a sharded checkpoint (`model.safetensors.index.json`, `pytorch_model.bin.index.json`); or tensors in
/// memory.
///
/// Opening reads names, types and shapes; elements stay in the mapped files until they are asked for. Nothing in a
/// PyTorch file is executed.
public struct WeightFile: Sendable {
    public let path: String
    /// In the order of the file, that of a sharded checkpoint by shards.
    public let names: [String]
    private let parts: [Part]
    private let partOf: [String: Int]

    private enum Part: Sendable {
        case arrays(ArrayFile)
        case torch(TorchFile)
        case memory([String: NamedArray], names: [String], firstNames: [String: String])

        var names: [String] {
            switch self {
            case .memory(_, let names, _): names
            case .arrays(let file): file.keys
            case .torch(let file): file.names
            }
        }
    }

    /// Largest index file accepted; that of a checkpoint with a hundred thousand tensors is a tenth of it.
    private static let largestIndex = 100_000_000

    /// - Throws: `DataError` for a file that is missing, damaged, or of another kind.
    public init(path: String) throws(DataError) {
        self.path = path
        if path.lowercased().hasSuffix(".json") {
            let shards = try Self.shards(path)
            var parts: [Part] = []
            var partOf: [String: Int] = [:]
            var names: [String] = []
            for shard in shards {
                let part = try Self.open(shard.path)
                let known = Set(part.names)
                if let missing = shard.names.first(where: { !known.contains($0) }) {
                    throw DataError(
                        .malformed, "is not in the shard where \(quoted(path, limit: 4096)) says",
                        at: .init(file: shard.path, array: missing))
                }
                let wanted = Set(shard.names)
                for name in part.names where wanted.contains(name) {
                    partOf[name] = parts.count
                    names.append(name)
                }
                parts.append(part)
            }
            (self.parts, self.partOf, self.names) = (parts, partOf, names)
        } else {
            let part = try Self.open(path)
            parts = [part]
            names = part.names
            partOf = Dictionary(part.names.map { ($0, 0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Takes tensors in memory for a checkpoint.
    ///
    /// - Parameters:
    ///   - path: what messages call it.
    ///   - firstNames: for tensors that have several names, the first of them by every other one.
    /// - Throws: `DataError` if two tensors have one name.
    public init(path: String, arrays: [NamedArray], firstNames: [String: String] = [:]) throws(DataError) {
        self.path = path
        names = arrays.map(\.name)
        let named = Dictionary(arrays.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        guard named.count == arrays.count else {
            let repeated = Dictionary(grouping: names) { $0 }.filter { $0.value.count > 1 }.keys.min()!
            throw DataError(.malformed, "has several tensors \(quoted(repeated))", at: .init(file: path))
        }
        parts = [.memory(named, names: names, firstNames: firstNames)]
        partOf = named.mapValues { _ in 0 }
    }

    private static func open(_ path: String) throws(DataError) -> Part {
        let name = path.lowercased()
        if [".pt", ".pth", ".bin", ".ckpt"].contains(where: name.hasSuffix) {
            return .torch(try TorchFile(ByteRegion.map(file: path), file: path))
        }
        switch ArrayFile.format(ofName: path) {
        case .npz, .safetensors: return .arrays(try ArrayFile(path: path))
        default:
            _ = try ByteRegion.map(file: path)
            throw DataError(
                .unsupported,
                "is no file of weights; those are .safetensors, .npz, .pt, .pth, .bin and the .index.json of shards",
                at: .init(file: path))
        }
    }

    /// The first name of the same tensor, where it is known that several names stand for one: of files, PyTorch's say so.
    public func firstName(of name: String) -> String {
        guard let part = partOf[name] else { return name }
        switch parts[part] {
        case .arrays: return name
        case .torch(let file): return file.firstName(of: name)
        case .memory(_, _, let firstNames): return firstNames[name] ?? name
        }
    }

    public func contains(_ name: String) -> Bool { partOf[name] != nil }

    /// - Throws: `DataError` if there is no such tensor or its bytes are damaged.
    public func array(_ name: String) throws(DataError) -> NamedArray {
        guard let part = partOf[name] else {
            throw DataError(.mismatch, "has no tensor \(quoted(name))", at: .init(file: path))
        }
        switch parts[part] {
        case .arrays(let file): return try file.array(name)
        case .torch(let file): return try file.array(name)
        case .memory(let arrays, _, _): return arrays[name]!
        }
    }

    // MARK: Shards

    private struct Shard {
        var path: String
        var names: [String]
    }

    /// Reads `{"weight_map": {tensor: file name}}`; shards lie beside the index.
    private static func shards(_ path: String) throws(DataError) -> [Shard] {
        let place = DataError.Place(file: path)
        let region = try ByteRegion.map(file: path)
        guard region.count <= largestIndex else {
            throw DataError(.unsupported, "is an index of \(region.count) bytes", at: place)
        }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var names: [String: [String]] = [:]
        var cursor = JSONCursor(region.bytes(0, region.count), place: place)
        try cursor.object { (cursor, key) throws(DataError) in
            guard key == "weight_map" else { return try cursor.skip() }
            try cursor.object { (cursor, tensor) throws(DataError) in
                let file = try cursor.string()
                guard !file.isEmpty, !file.contains("/"), !file.hasPrefix("."), !file.contains("\0"),
                    !file.lowercased().hasSuffix(".json")
                else {
                    throw DataError(
                        .malformed, "lies in \(quoted(file)), which is no file beside the index",
                        at: .init(file: path, array: tensor))
                }
                names[file, default: []].append(tensor)
            }
        }
        try cursor.expectEnd()
        guard !names.isEmpty else { throw DataError(.malformed, "names no tensors in a weight_map", at: place) }
        return names.sorted { $0.key < $1.key }.map { Shard(path: folder + $0.key, names: $0.value) }
    }
}
