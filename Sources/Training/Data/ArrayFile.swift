/// An opened file of arrays: .npy, .npz, .safetensors, .csv, or MNIST's idx.
///
/// Opening reads the index and checks it; `array(_:)` reads one array. Uncompressed arrays in row-major little-endian
/// order stay in the memory-mapped file; compressed, big-endian, column-major and text arrays are copied once into
/// memory. A file must not be shortened by others while it is open.
///
/// What becomes a key:
/// - .npz: every entry `KEY.npy` (others are not arrays and are passed over); .safetensors: every tensor.
/// - .npy: the one array, under the key `anonymousKey`, for a model's only input.
/// - .csv: columns and column families (`CSVColumns`).
/// - idx: `images` and `labels`. The path names an images file, whose labels lie beside it under the usual name, or
///   a folder, which stands for its training files. uint8 images are divided by 255 when gathered as floats.
public struct ArrayFile: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        case npy, npz, safetensors, csv, idx
    }

    /// The key of the single array of an .npy file.
    public static let anonymousKey = "(unnamed)"

    public let path: String
    public let format: Format
    /// Names of the arrays, in the order of the file.
    public let keys: [String]
    let contents: Contents

    enum Contents: Sendable {
        case arrays([String: NamedArray])
        case npz(ZipArchive, [String: ZipArchive.Entry])
        case safetensors(SafetensorsFile, [String: SafetensorsFile.Tensor])
        case csv(CSVTable, CSVColumns)
    }

    /// Opens a file, taking its format from its name. A column of a .csv called `textColumn` is no key: its fields are kept
    /// as text, to group rows by. Throws `DataError` when it is missing, damaged or of no known
    /// format.
    public init(path: String, textColumn: String? = nil) throws(DataError) {
        let place = DataError.Place(file: path)
        let kind = fileKind(path)
        let format = kind == .folder ? .idx : Self.format(ofName: path)
        if kind == .absent { _ = try ByteRegion.map(file: path) }
        guard let format else {
            throw DataError(
                .unsupported,
                "has no known extension; data come as .npz, .npy, .safetensors, .csv or idx (-ubyte, .idx, with or "
                    + "without .gz)", at: place)
        }
        self.path = path
        self.format = format
        switch format {
        case .npy:
            let region = try ByteRegion.map(file: path)
            keys = [Self.anonymousKey]
            contents = .arrays([
                Self.anonymousKey: try NPYHeader.array(
                    region, offset: 0, length: region.count, name: Self.anonymousKey, place: place)
            ])
        case .npz:
            let archive = try ZipArchive(ByteRegion.map(file: path), file: path)
            let entries = archive.entries.filter { $0.name.hasSuffix(".npy") && $0.name != ".npy" }
            keys = entries.map { String($0.name.dropLast(4)) }
            contents = .npz(archive, Dictionary(uniqueKeysWithValues: zip(keys, entries)))
        case .safetensors:
            let index = try SafetensorsFile(ByteRegion.map(file: path), file: path)
            keys = index.tensors.map(\.name)
            contents = .safetensors(index, Dictionary(uniqueKeysWithValues: zip(keys, index.tensors)))
        case .csv:
            let table = try CSVTable(ByteRegion.map(file: path), file: path, textColumn: textColumn)
            let columns = CSVColumns(names: table.columns.map(\.name))
            keys = columns.groups.map(\.name)
            contents = .csv(table, columns)
        case .idx:
            let found = try IDXFile.locate(path: path, isFolder: kind == .folder)
            var arrays: [String: NamedArray] = [:]
            if let images = found.images {
                arrays["images"] = try IDXFile.array(file: images, name: "images", divisor: 255)
            }
            if let labels = found.labels {
                arrays["labels"] = try IDXFile.array(file: labels, name: "labels", divisor: 1)
            }
            keys = ["images", "labels"].filter { arrays[$0] != nil }
            contents = .arrays(arrays)
        }
        if keys.isEmpty { throw DataError(.malformed, "holds no arrays", at: place) }
    }

    /// Reads one array. Throws when the key is unknown (the message lists what there is) or its bytes are damaged.
    public func array(_ key: String) throws(DataError) -> NamedArray {
        switch contents {
        case .arrays(let arrays):
            if let array = arrays[key] { return array }
        case .npz(let archive, let entries):
            if let entry = entries[key] {
                let place = DataError.Place(file: path, array: key)
                let (region, offset) = try archive.contents(of: entry)
                return try NPYHeader.array(region, offset: offset, length: entry.size, name: key, place: place)
            }
        case .safetensors(let index, let tensors):
            if let tensor = tensors[key] { return try index.array(tensor) }
        case .csv(let table, let columns):
            if let group = columns.groups.first(where: { $0.name == key }) {
                return try table.array(name: key, columns: group.columns, asVector: !group.isFamily)
            }
        }
        throw DataError(.mismatch, "has no array \(quoted(key)); it holds \(quotedList(keys))", at: .init(file: path))
    }

    /// The format that a file's name stands for; nil if it has no known extension.
    public static func format(ofName path: String) -> Format? {
        let name = path.lowercased()
        for format in [Format.npy, .npz, .safetensors, .csv] where name.hasSuffix(".\(format.rawValue)") {
            return format
        }
        return IDXFile.isName(name) ? .idx : nil
    }
}
