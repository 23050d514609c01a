import ONNXFormat
import TensorGraph

/// Operators whose result follows from sizes and attributes alone: they leave only constants in the graph.
public enum ConstantOperators {
    public static let all: [any OperatorPlugin] =
        [1, 13, 15, 19, 21, 23, 24, 25].map {
            StandardOperator("Shape", since: $0, structuralInputs: [0], expand: shape)
        }
        + [1, 13, 19, 21, 23, 24, 25].map { StandardOperator("Size", since: $0, structuralInputs: [0], expand: size) }
        + [9, 20, 21, 23, 24, 25].map {
            StandardOperator("ConstantOfShape", since: $0, structuralInputs: [0], expand: constantOfShape)
        }
        + [11, 27].map { StandardOperator("Range", since: $0, structuralInputs: [0, 1, 2], expand: range) }
        + [1, 9, 11, 12, 13, 19, 21, 23, 24, 25].map { StandardOperator("Constant", since: $0, expand: constant) }
        + [9, 22].map { StandardOperator("EyeLike", since: $0, structuralInputs: [0], expand: eyeLike) }

    private static func shape(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let shape = node.shape(try node.input(0))
        func bound(_ value: Int) -> Int { min(max(value < 0 ? value + shape.count : value, 0), shape.count) }
        let start = bound(try node.int("start", default: 0))
        let end = bound(try node.int("end", default: shape.count))
        node.outputElementTypes[0] = .int64
        return [node.constant(Constant(shape[start..<max(start, end)].map(Int64.init)))]
    }

    private static func size(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let count = node.type(try node.input(0)).count
        node.outputElementTypes[0] = .int64
        return [node.constant(Constant([Int64(count)], shape: []))]
    }

    private static func constantOfShape(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        guard let shape = try node.constantInts(0, "shape") else { throw .invalid("its shape is missing") }
        try CheckedSize.checkConstant(shape)
        let value: Constant
        switch node.node.attributes["value"] {
        case nil: value = Constant([0] as [Float])
        case .tensor(let tensor, let type) where tensor.type.count == 1:
            value = tensor
            node.outputElementTypes[0] = type
        default: throw .invalid("attribute 'value' must be a tensor of one element")
        }
        let size = value.type.elementType.size
        let result = Constant(value.type.with(shape: shape)) { memory in
            for start in stride(from: 0, to: memory.count, by: size) {
                (memory.baseAddress! + start).copyMemory(from: value.bytes.baseAddress!, byteCount: size)
            }
        }
        return [node.constant(result)]
    }

    private static func range(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        var bounds: [Constant] = []
        for (index, name) in ["start", "limit", "delta"].enumerated() {
            guard let constant = node.builder.constant(try node.input(index)) else {
                throw .unsupported("its \(name) is computed from data; it must be known from the sizes alone")
            }
            guard constant.type.count == 1 else { throw .invalid("its \(name) must be a single number") }
            bounds.append(constant)
        }
        if bounds[0].type.elementType == .int64 {
            let (start, limit, delta) = (bounds[0].int64Values[0], bounds[1].int64Values[0], bounds[2].int64Values[0])
            let count = try rangeCount(Double(start), Double(limit), Double(delta))
            return [node.constant(Constant((0..<count).map { start &+ Int64($0) &* delta }))]
        }
        let (start, limit, delta) = (bounds[0].floatValues[0], bounds[1].floatValues[0], bounds[2].floatValues[0])
        let count = try rangeCount(Double(start), Double(limit), Double(delta))
        return [node.constant(Constant((0..<count).map { start + Float($0) * delta }))]
    }

    /// max(ceil((limit - start) / delta), 0).
    private static func rangeCount(_ start: Double, _ limit: Double, _ delta: Double) throws(GraphError) -> Int {
        let count = ((limit - start) / delta).rounded(.up)
        guard delta != 0, count.isFinite, let count = Int(exactly: max(count, 0)) else {
            throw .invalid("a range from \(start) to \(limit) by \(delta) has no end")
        }
        try CheckedSize.checkConstant([count])
        return count
    }

    private static func constant(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let attributes = node.node.attributes
        let value: Constant
        if case .tensor(let tensor, let type)? = attributes["value"] {
            value = tensor
            node.outputElementTypes[0] = type
        } else if let number = try node.int("value_int") {
            value = Constant([Int64(number)], shape: [])
        } else if let numbers = try node.ints("value_ints") {
            value = Constant(numbers.map(Int64.init))
        } else if let number = try node.float("value_float") {
            value = Constant([number], shape: [])
        } else if case .floats(let numbers)? = attributes["value_floats"] {
            value = Constant(numbers)
        } else if case .ints(let numbers)? = attributes["value_floats"], numbers.isEmpty {
            value = Constant([] as [Float])
        } else if attributes["value_string"] != nil || attributes["value_strings"] != nil {
            throw .unsupported("a constant of strings cannot be computed with")
        } else if attributes["sparse_value"] != nil {
            throw .unsupported("a sparse constant; store it as a dense tensor")
        } else {
            throw .invalid("a constant without a value")
        }
        return [node.constant(value)]
    }

    private static func eyeLike(_ node: inout Expansion) throws(GraphError) -> [ValueID] {
        let input = node.type(try node.input(0))
        guard input.rank == 2 else { throw .invalid("\(input) is not a matrix") }
        try CheckedSize.checkConstant(input.shape)
        var elementType = input.elementType
        if let type = try node.elementType("dtype") {
            guard let named = type.storage else { throw .unsupported("a matrix of type \(type)") }
            elementType = named
            node.outputElementTypes[0] = type
        }
        let offset = try node.int("k", default: 0)
        let (rows, columns) = (input.shape[0], input.shape[1])
        let ones = (0..<rows).compactMap { row in
            let column = row.addingReportingOverflow(offset)
            return !column.overflow && 0..<columns ~= column.partialValue ? row * columns + column.partialValue : nil
        }
        let result = Constant(TensorType(elementType, input.shape)) { memory in
            for place in ones {
                switch elementType {
                case .float32: memory.storeBytes(of: 1, toByteOffset: 4 * place, as: Float.self)
                case .float64: memory.storeBytes(of: 1, toByteOffset: 8 * place, as: Double.self)
                case .int64: memory.storeBytes(of: 1, toByteOffset: 8 * place, as: Int64.self)
                case .bool: memory.storeBytes(of: 1, toByteOffset: place, as: UInt8.self)
                }
            }
        }
        return [node.constant(result)]
    }
}
