/// What a pickle may hold: plain values, containers, and the few names that PyTorch writes into a file of tensors.
indirect enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case text(String)
    case bytes
    /// The depth counts tuples inside tuples.
    case tuple([PickleValue], depth: Int)
    case list(PickleList)
    case dictionary(PickleDictionary)
    /// A class or function that the machine knows by name; it is never called.
    case name(PickleName)
    case storage(TorchStorage)
    case tensor(TorchTensor)

    var tupleDepth: Int { if case .tuple(_, let depth) = self { depth } else { 0 } }

    var elements: [PickleValue]? {
        switch self {
        case .tuple(let elements, _): elements
        case .list(let list): list.elements
        default: nil
        }
    }

    /// The elements of a tuple or list of integers that is short enough to be a shape.
    var integers: [Int]? {
        guard let elements, elements.count <= NPYHeader.highestRank else { return nil }
        var values: [Int] = []
        for element in elements {
            guard case .int(let value) = element else { return nil }
            values.append(value)
        }
        return values
    }
}

final class PickleList {
    var elements: [PickleValue] = []
}

/// A dictionary in the order in which its keys came.
final class PickleDictionary {
    private(set) var entries: [(key: PickleValue, value: PickleValue)] = []
    private var positions: [String: Int] = [:]

    func set(_ key: PickleValue, _ value: PickleValue) {
        if case .text(let text) = key {
            if let position = positions[text] {
                entries[position].value = value
                return
            }
            positions[text] = entries.count
        }
        entries.append((key, value))
    }

    func clear() { entries = [] }

    subscript(text: String) -> PickleValue? { positions[text].map { entries[$0].value } }
}

/// The names that a pickle may refer to.
enum PickleName: Equatable {
    case orderedDictionary
    case size
    case rebuildTensor
    case rebuildTensorWithType
    case rebuildParameter
    /// A storage class; nil for the one that does not say what its bytes are.
    case storage(TorchType?)
    case type(TorchType)

    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch", "Size"): self = .size
        case ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensorWithType
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            self = .rebuildParameter
        case ("torch.storage", "UntypedStorage"): self = .storage(nil)
        case ("torch", _):
            if let type = TorchType(storageClass: name) {
                self = .storage(type)
            } else if let type = TorchType(dtype: name) {
                self = .type(type)
            } else {
                return nil
            }
        default: return nil
        }
    }
}

/// The element type of a PyTorch tensor; one that no array here has is only named.
struct TorchType: Equatable {
    /// As `torch.dtype` calls it.
    var name: String
    var stored: StoredType?
    var byteCount: Int

    private init(_ name: String, _ stored: StoredType?, _ byteCount: Int) {
        self.name = name
        self.stored = stored
        self.byteCount = byteCount
    }

    init?(dtype: String) {
        if let stored = StoredType(rawValue: dtype) {
            self.init(dtype, stored, stored.byteCount)
            return
        }
        switch dtype {
        case "complex32": self.init(dtype, nil, 4)
        case "complex64": self.init(dtype, nil, 8)
        case "complex128": self.init(dtype, nil, 16)
        case _ where dtype.hasPrefix("float8_") || ["qint8", "quint8"].contains(dtype): self.init(dtype, nil, 1)
        case "qint32": self.init(dtype, nil, 4)
        default: return nil
        }
    }

    init?(storageClass: String) {
        let names = [
            "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
            "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
            "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
            "ComplexDoubleStorage": "complex128", "QInt8Storage": "qint8", "QUInt8Storage": "quint8",
            "QInt32Storage": "qint32",
        ]
        guard let name = names[storageClass] else { return nil }
        self.init(dtype: name)
    }
}

/// A block of elements that tensors lie in.
struct TorchStorage {
    /// Name of the archive's entry behind `data/`.
    var key: String
    /// Nil if the tensors say.
    var type: TorchType?
    /// Elements, or bytes if there is no type.
    var count: Int
}

/// A tensor's place in its storage; offset and strides count elements.
struct TorchTensor {
    var storage: TorchStorage
    var type: TorchType
    var offset: Int
    var shape: [Int]
    var strides: [Int]
}
