/// Reads pickles (Python's `pickle` protocols 2 to 5) of tensors and plain values.
///
/// A pickle is a program for a stack machine that may name and call any function. This machine knows the names in
/// `PickleName` and calls nothing: what PyTorch writes to rebuild a tensor becomes a description of that tensor, and
/// every other name is an error. Memory is linear in the length of the pickle, and tuples nest
/// `deepestNesting` levels.
struct PickleMachine {
    /// Longest pickle accepted: that of a file with 100 000 tensors is a tenth of this.
    static let longestPickle = 100_000_000
    static let deepestNesting = 32

    private let bytes: UnsafeRawBufferPointer
    private let place: DataError.Place
    private var position = 0
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private var lists: [PickleList] = []
    private var dictionaries: [PickleDictionary] = []

    /// Runs a pickle and hands its value to `body`; containers are valid only there.
    static func withValue<Result>(
        of bytes: UnsafeRawBufferPointer, place: DataError.Place, _ body: (PickleValue) throws(DataError) -> Result
    ) throws(DataError) -> Result {
        guard bytes.count <= longestPickle else {
            throw DataError(.unsupported, "holds a pickle of \(bytes.count) bytes", at: place)
        }
        var machine = PickleMachine(bytes: bytes, place: place)
        // Containers may hold each other in circles and chains, which must not be freed recursively.
        defer {
            for list in machine.lists { list.elements = [] }
            for dictionary in machine.dictionaries { dictionary.clear() }
        }
        return try body(try machine.run())
    }

    private init(bytes: UnsafeRawBufferPointer, place: DataError.Place) {
        self.bytes = bytes
        self.place = place
    }

    private func failure(_ reason: String) -> DataError {
        DataError(.malformed, "has a bad pickle: \(reason) at byte \(position)", at: place)
    }

    private mutating func run() throws(DataError) -> PickleValue {
        while true {
            let code = try byte()
            if code == UInt8(ascii: ".") { return try pop() }
            try execute(code)
        }
    }

    private mutating func execute(_ code: UInt8) throws(DataError) {
        switch code {
        case 0x80:
            let version = try byte()
            guard (2...5).contains(version) else {
                throw DataError(.unsupported, "has a pickle of protocol \(version)", at: place)
            }
        case 0x95: _ = try take(8)  // the length of a frame
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): stack.append(try top())
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "J"): stack.append(.int(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
        case UInt8(ascii: "K"): stack.append(.int(try unsigned(1)))
        case UInt8(ascii: "M"): stack.append(.int(try unsigned(2)))
        case 0x8A: stack.append(.int(try long(try unsigned(1))))
        case 0x8B: stack.append(.int(try long(try unsigned(4))))
        case UInt8(ascii: "G"):
            let bits = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            stack.append(.float(Double(bitPattern: bits)))
        case UInt8(ascii: "X"): stack.append(.text(try text(try unsigned(4))))
        case 0x8C, UInt8(ascii: "U"): stack.append(.text(try text(try unsigned(1))))
        case 0x8D: stack.append(.text(try text(try unsigned(8))))
        case UInt8(ascii: "B"): try skipBytes(try unsigned(4))
        case UInt8(ascii: "C"): try skipBytes(try unsigned(1))
        case 0x8E, 0x96: try skipBytes(try unsigned(8))
        case UInt8(ascii: ")"): stack.append(.tuple([], depth: 1))
        case 0x85: try tuple(1)
        case 0x86: try tuple(2)
        case 0x87: try tuple(3)
        case UInt8(ascii: "t"):
            let elements = try popToMark()
            try tuple(of: elements)
        case UInt8(ascii: "]"), 0x8F: stack.append(.list(newList()))
        case UInt8(ascii: "l"), 0x91:
            let elements = try popToMark()
            let list = newList()
            list.elements = elements
            stack.append(.list(list))
        case UInt8(ascii: "}"): stack.append(.dictionary(newDictionary()))
        case UInt8(ascii: "d"):
            let entries = try popToMark()
            let dictionary = newDictionary()
            try fill(dictionary, entries)
            stack.append(.dictionary(dictionary))
        case UInt8(ascii: "a"):
            let element = try pop()
            try extend(with: [element])
        case UInt8(ascii: "e"), 0x90:
            let elements = try popToMark()
            try extend(with: elements)
        case UInt8(ascii: "s"):
            let value = try pop()
            let key = try pop()
            try setItems([key, value])
        case UInt8(ascii: "u"):
            let entries = try popToMark()
            try setItems(entries)
        case UInt8(ascii: "q"): memo[try unsigned(1)] = try top()
        case UInt8(ascii: "r"): memo[try unsigned(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): try recall(try unsigned(1))
        case UInt8(ascii: "j"): try recall(try unsigned(4))
        case UInt8(ascii: "c"):
            let module = try line()
            try push(module: module, name: try line())
        case 0x93:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
                throw failure("a name that is no text")
            }
            try push(module: module, name: name)
        case UInt8(ascii: "Q"):
            let identity = try pop()
            stack.append(.storage(try storage(identity)))
        case UInt8(ascii: "R"):
            let arguments = try pop()
            let function = try pop()
            try rebuild(function, arguments)
        case UInt8(ascii: "b"):
            // PyTorch hangs the version numbers of modules on its dictionary.
            _ = try pop()
            guard case .dictionary = try top() else { throw failure("state for what is no dictionary") }
        default:
            throw failure("instruction 0x\(String(code, radix: 16)) is not one that files of tensors need")
        }
    }

    // MARK: Stack

    private func top() throws(DataError) -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.last else { throw failure("the stack is empty") }
        return value
    }

    private mutating func pop() throws(DataError) -> PickleValue {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func popToMark() throws(DataError) -> [PickleValue] {
        guard let mark = marks.popLast() else { throw failure("a mark is missing") }
        let values = Array(stack[mark...])
        stack.removeSubrange(mark...)
        return values
    }

    private mutating func recall(_ key: Int) throws(DataError) {
        guard let value = memo[key] else { throw failure("nothing is remembered as \(key)") }
        stack.append(value)
    }

    private mutating func newList() -> PickleList {
        lists.append(PickleList())
        return lists[lists.count - 1]
    }

    private mutating func newDictionary() -> PickleDictionary {
        dictionaries.append(PickleDictionary())
        return dictionaries[dictionaries.count - 1]
    }

    private mutating func tuple(_ count: Int) throws(DataError) {
        var elements: [PickleValue] = []
        for _ in 0..<count { elements.append(try pop()) }
        try tuple(of: elements.reversed())
    }

    private mutating func tuple(of elements: [PickleValue]) throws(DataError) {
        let depth = 1 + (elements.map(\.tupleDepth).max() ?? 0)
        guard depth <= Self.deepestNesting else { throw failure("tuples nest too deeply") }
        stack.append(.tuple(elements, depth: depth))
    }

    private func extend(with elements: [PickleValue]) throws(DataError) {
        guard case .list(let list) = try top() else { throw failure("elements for what is no list") }
        list.elements += elements
    }

    private func setItems(_ entries: [PickleValue]) throws(DataError) {
        guard case .dictionary(let dictionary) = try top() else { throw failure("entries for what is no dictionary") }
        try fill(dictionary, entries)
    }

    private func fill(_ dictionary: PickleDictionary, _ entries: [PickleValue]) throws(DataError) {
        guard entries.count % 2 == 0 else { throw failure("a key without a value") }
        for index in stride(from: 0, to: entries.count, by: 2) { dictionary.set(entries[index], entries[index + 1]) }
    }

    // MARK: Bytes

    private mutating func take(_ count: Int) throws(DataError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else { throw failure("it ends too early") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    private mutating func byte() throws(DataError) -> UInt8 { try take(1)[0] }

    private mutating func unsigned(_ width: Int) throws(DataError) -> Int {
        let value = try take(width).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = Int(exactly: value) else { throw failure("a length overflows") }
        return value
    }

    /// A little-endian integer in two's complement.
    private mutating func long(_ width: Int) throws(DataError) -> Int {
        guard width <= 8 else { throw failure("an integer of \(width) bytes") }
        let bytes = try take(width)
        let negative = bytes.last.map { $0 & 0x80 != 0 } ?? false
        return bytes.reversed().reduce(negative ? -1 : 0) { $0 << 8 | Int($1) }
    }

    private mutating func text(_ count: Int) throws(DataError) -> String {
        guard let text = String(validating: try take(count), as: UTF8.self) else { throw failure("bad UTF-8") }
        return text
    }

    private mutating func skipBytes(_ count: Int) throws(DataError) {
        _ = try take(count)
        stack.append(.bytes)
    }

    private mutating func line() throws(DataError) -> String {
        guard let end = bytes[position...].firstIndex(of: 0x0A), end - position <= 1000 else {
            throw failure("a name without end")
        }
        let name = try text(end - position)
        position += 1
        return name
    }

    // MARK: Names

    private mutating func push(module: String, name: String) throws(DataError) {
        guard let known = PickleName(module: module, name: name) else {
            throw DataError(
                .malformed,
                "refers to \(quoted("\(module).\(name)")), which is no part of a state_dict and is not executed; save "
                    + "one with torch.save(module.state_dict(), ...)", at: place)
        }
        stack.append(.name(known))
    }

    /// `('storage', storage class, key, device, count)`.
    private func storage(_ identity: PickleValue) throws(DataError) -> TorchStorage {
        guard let parts = identity.elements, parts.count == 5, case .text("storage") = parts[0],
            case .name(.storage(let type)) = parts[1], case .text(let key) = parts[2],
            case .int(let count) = parts[4], count >= 0
        else { throw failure("a storage that cannot be understood") }
        return TorchStorage(key: key, type: type, count: count)
    }

    private mutating func rebuild(_ function: PickleValue, _ arguments: PickleValue) throws(DataError) {
        guard case .name(let name) = function, case .tuple(let arguments, _) = arguments else {
            throw failure("a call of what is no function")
        }
        switch name {
        case .orderedDictionary where arguments.isEmpty: stack.append(.dictionary(newDictionary()))
        case .size where arguments.count == 1: stack.append(arguments[0])
        case .rebuildParameter:
            guard case .tensor(let tensor)? = arguments.first else { throw failure("a parameter without a tensor") }
            stack.append(.tensor(tensor))
        case .rebuildTensor, .rebuildTensorWithType: stack.append(.tensor(try tensor(name, arguments)))
        default: throw failure("a call that rebuilds no tensor")
        }
    }

    /// `(storage, offset, shape, strides, requires_grad, hooks[, type])`.
    private func tensor(_ name: PickleName, _ arguments: [PickleValue]) throws(DataError) -> TorchTensor {
        guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1],
            let shape = arguments[2].integers, let strides = arguments[3].integers
        else { throw failure("a tensor that cannot be understood") }
        var type = storage.type
        if name == .rebuildTensorWithType {
            guard arguments.count >= 7, case .name(.type(let stated)) = arguments[6] else {
                throw failure("a tensor without a type")
            }
            type = stated
        }
        guard let type else { throw failure("a tensor without a type") }
        return TorchTensor(storage: storage, type: type, offset: offset, shape: shape, strides: strides)
    }
}
