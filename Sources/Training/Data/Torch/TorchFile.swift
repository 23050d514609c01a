/// The state_dict in a file that `torch.save` wrote (PyTorch 1.6 and later): a zip archive of a pickle, which describes
/// the tensors, and of the storages that they lie in. Nothing in the file is executed; see `PickleMachine`.
///
/// The file may hold a state_dict, or a dictionary that has one under a usual key. Values that are no tensors are passed
/// over. Contiguous tensors stay in the mapped file, others are copied when they are asked for.
struct TorchFile: Sendable {
    let file: String
    /// Names in the order of the state_dict.
    private(set) var names: [String] = []
    private var tensors: [String: TorchTensor] = [:]
    private var firstNames: [String: String] = [:]
    private let archive: ZipArchive
    /// What the names of all entries begin with.
    private let prefix: String
    private let entries: [String: ZipArchive.Entry]

    /// Keys under which training scripts keep a model's state_dict.
    private static let usualKeys = ["state_dict", "model_state_dict", "model", "module", "net", "network", "weights"]
    /// Elements that a tensor may have beyond those of its storage, by strides of 0.
    private static let mostRepeated = 1 << 24

    init(_ region: ByteRegion, file: String) throws(DataError) {
        self.file = file
        let place = DataError.Place(file: file)
        if region.count > 1, region.byte(0) == 0x80 {
            throw DataError(
                .unsupported, "was saved by PyTorch before 1.6; load it there and save it again", at: place)
        }
        archive = try ZipArchive(region, file: file)
        let pickles = archive.entries.filter { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
        guard pickles.count == 1, let pickle = pickles.first else {
            throw DataError(
                .malformed, "is not a file of torch.save: it has \(pickles.count) entries data.pkl", at: place)
        }
        prefix = String(pickle.name.dropLast("data.pkl".count))
        entries = Dictionary(archive.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let (bytes, offset) = try Self.contents(of: pickle, archive)
        if let order = entries[prefix + "byteorder"] {
            let (text, start) = try Self.contents(of: order, archive)
            guard text.bytes(start, order.size).elementsEqual("little".utf8) else {
                throw DataError(.unsupported, "holds big-endian numbers", at: place)
            }
        }
        let found = try PickleMachine.withValue(of: bytes.bytes(offset, pickle.size), place: place) {
            (value) throws(DataError) in try Self.tensors(in: value, place)
        }
        var firstOf: [String: String] = [:]
        for (name, tensor) in found {
            try check(tensor, place: DataError.Place(file: file, array: name))
            names.append(name)
            tensors[name] = tensor
            let place = "\(tensor.storage.key) \(tensor.offset) \(tensor.shape) \(tensor.strides) \(tensor.type.name)"
            firstNames[name] = firstOf[place] ?? name
            firstOf[place] = firstOf[place] ?? name
        }
    }

    /// Bytes of an entry, which PyTorch never compresses.
    private static func contents(
        of entry: ZipArchive.Entry, _ archive: ZipArchive
    ) throws(DataError) -> (region: ByteRegion, offset: Int) {
        guard !entry.isDeflated else {
            throw DataError(
                .unsupported, "is compressed, which torch.save does not do",
                at: .init(file: archive.file, array: entry.name))
        }
        return try archive.contents(of: entry)
    }

    // MARK: Finding the state_dict

    private static func tensors(
        in value: PickleValue, _ place: DataError.Place
    ) throws(DataError) -> [(String, TorchTensor)] {
        guard case .dictionary(let outer) = value else {
            throw DataError(
                .malformed, "holds no state_dict; save one with torch.save(module.state_dict(), ...)", at: place)
        }
        var found = own(outer)
        if found.isEmpty {
            for key in usualKeys {
                guard case .dictionary(let inner)? = outer[key] else { continue }
                found = own(inner)
                if !found.isEmpty { break }
            }
        }
        guard !found.isEmpty else {
            throw DataError(
                .malformed, "holds no tensors by name; save them with torch.save(module.state_dict(), ...)", at: place)
        }
        return found
    }

    private static func own(_ dictionary: PickleDictionary) -> [(String, TorchTensor)] {
        dictionary.entries.compactMap { key, value in
            if case .text(let name) = key, case .tensor(let tensor) = value { (name, tensor) } else { nil }
        }
    }

    // MARK: Tensors

    /// Checks that a tensor lies inside its storage, and the storage inside its entry.
    private func check(_ tensor: TorchTensor, place: DataError.Place) throws(DataError) {
        let rank = tensor.shape.count
        guard rank == tensor.strides.count, rank <= NPYHeader.highestRank else {
            throw DataError(.malformed, "has \(rank) dimensions and \(tensor.strides.count) strides", at: place)
        }
        guard let entry = entries["\(prefix)data/\(tensor.storage.key)"] else {
            throw DataError(.malformed, "has no storage \(quoted(tensor.storage.key)) in the file", at: place)
        }
        let width = tensor.storage.type?.byteCount ?? 1
        let (bytes, overflow) = tensor.storage.count.multipliedReportingOverflow(by: width)
        guard !overflow, bytes <= entry.size else {
            throw DataError(.malformed, "has a storage of \(entry.size) bytes, which is too short", at: place)
        }
        var count = 1
        var last = tensor.offset
        for (extent, stride) in zip(tensor.shape, tensor.strides) {
            let (product, tooMany) = count.multipliedReportingOverflow(by: extent)
            let (reach, tooFar) = stride.multipliedReportingOverflow(by: max(extent - 1, 0))
            let (end, beyond) = last.addingReportingOverflow(reach)
            guard extent >= 0, stride >= 0, !tooMany, !tooFar, !beyond else {
                throw DataError(.malformed, "has a shape that is negative or overflows", at: place)
            }
            count = product
            last = end
        }
        let available = bytes / tensor.type.byteCount
        guard tensor.offset >= 0, count == 0 || last < available else {
            throw DataError(.malformed, "reaches beyond its storage", at: place)
        }
        guard count <= available || count <= Self.mostRepeated else {
            throw DataError(.unsupported, "repeats \(available) stored elements to \(count)", at: place)
        }
    }

    /// The first name of the same tensor: the same elements of the same storage.
    func firstName(of name: String) -> String { firstNames[name]! }

    /// - Throws: for an element type that no array has, and for bytes that do not match their CRC.
    func array(_ name: String) throws(DataError) -> NamedArray {
        let tensor = tensors[name]!
        let place = DataError.Place(file: file, array: name)
        guard let type = tensor.type.stored else {
            throw DataError(
                .unsupported, "dtype \(tensor.type.name) is not read; save it as float, int or bool", at: place)
        }
        let entry = entries["\(prefix)data/\(tensor.storage.key)"]!
        let (region, start) = try Self.contents(of: entry, archive)
        let width = type.byteCount
        let base = start + tensor.offset * width
        if Self.isContiguous(tensor) {
            // An empty tensor may point behind the end.
            let offset = tensor.shape.contains(0) ? start : base
            return NamedArray(
                name: name, type: type, shape: tensor.shape, file: file, storage: region, offset: offset)
        }
        let count = tensor.shape.reduce(1, *)
        let copy = try ByteRegion.heap(count: count * width, place: place) { (target) throws(DataError) in
            var index = [Int](repeating: 0, count: tensor.shape.count)
            for position in 0..<count {
                let element = zip(index, tensor.strides).reduce(0) { $0 + $1.0 * $1.1 }
                UnsafeMutableRawBufferPointer(rebasing: target[(position * width)...]).copyMemory(
                    from: region.bytes(base + element * width, width))
                var axis = index.count - 1
                while axis >= 0 {
                    index[axis] += 1
                    if index[axis] < tensor.shape[axis] { break }
                    index[axis] = 0
                    axis -= 1
                }
            }
        }
        return NamedArray(name: name, type: type, shape: tensor.shape, file: file, storage: copy, offset: 0)
    }

    private static func isContiguous(_ tensor: TorchTensor) -> Bool {
        var expected = 1
        for (extent, stride) in zip(tensor.shape, tensor.strides).reversed() {
            if extent == 0 { return true }
            if extent > 1, stride != expected { return false }
            expected *= extent
        }
        return true
    }
}
