public import ONNXFormat
public import TensorGraph

/// One model node being expanded: its inputs as values of the graph under construction, and its attributes.
public struct Expansion {
    public let node: ImportedNode
    /// One per input of the node; nil where an optional input is omitted.
    public let inputs: [ValueID?]
    /// Emits into the graph under construction.
    public var builder: GraphBuilder
    /// Shapes of the node's outputs in the reference graph of another batch size, if there is one and it got this far.
    public let referenceOutputShapes: [[Int]?]
    /// Whether what the node repeats may be taken for one copy per sample where only its size says so.
    let guessesRepetition: Bool
    /// Types that the node's outputs have in the model, where they do not follow from the inputs' as `elementTypes` says.
    public var outputElementTypes: [Int: ONNXElementType] = [:]
    /// Whether nodes in training mode drop what `Dropout` says.
    public let dropout: DropoutMode
    private let inputElementTypes: [ONNXElementType?]

    init(
        node: ImportedNode, inputs: [ValueID?], builder: GraphBuilder, referenceOutputShapes: [[Int]?],
        guessesRepetition: Bool = true, inputElementTypes: [ONNXElementType?] = [], dropout: DropoutMode = .off
    ) {
        self.node = node
        self.inputs = inputs
        self.builder = builder
        self.referenceOutputShapes = referenceOutputShapes
        self.guessesRepetition = guessesRepetition
        self.inputElementTypes = inputElementTypes
        self.dropout = dropout
    }

    /// Version of the operator set in force.
    public var version: Int { node.opsetVersion }

    // MARK: Inputs

    /// A required input.
    public func input(_ index: Int) throws(GraphError) -> ValueID {
        guard let value = optionalInput(index) else { throw .invalid("input \(index) is missing") }
        return value
    }

    public func optionalInput(_ index: Int) -> ValueID? { index < inputs.count ? inputs[index] : nil }

    /// The type that an input has in the model: narrower than what it is stored in, where that matters.
    public func elementType(ofInput index: Int) throws(GraphError) -> ONNXElementType {
        if index < inputElementTypes.count, let type = inputElementTypes[index] { return type }
        return ONNXElementType(widest: type(try input(index)).elementType)
    }

    /// The model's types of `outputs`: what the operator said, else the type of the first input that is stored alike,
    /// else the widest one of its storage.
    func elementTypes(of outputs: [ValueID]) -> [ONNXElementType] {
        outputs.enumerated().map { index, output in
            if let type = outputElementTypes[index] { return type }
            let storage = type(output).elementType
            return inputElementTypes.lazy.compactMap(\.self).first { $0.storage == storage }
                ?? ONNXElementType(widest: storage)
        }
    }

    public func type(_ value: ValueID) -> TensorType { builder.type(of: value) }
    public func shape(_ value: ValueID) -> [Int] { builder.shape(of: value) }

    /// The integers of an input that must be known before the graph runs; nil if the input is omitted.
    public func constantInts(_ index: Int, _ meaning: String) throws(GraphError) -> [Int]? {
        guard let value = optionalInput(index) else { return nil }
        guard let constant = builder.constant(value) else {
            throw .unsupported(
                "its \(meaning) (input \(index)) is computed from data; it must be known from the sizes alone")
        }
        return constant.intValues
    }

    // MARK: Attributes

    public func int(_ name: String) throws(GraphError) -> Int? {
        switch node.attributes[name] {
        case nil: nil
        case .int(let value): value
        default: throw .invalid("attribute '\(name)' must be an integer")
        }
    }

    public func int(_ name: String, default value: Int) throws(GraphError) -> Int { try int(name) ?? value }

    public func flag(_ name: String, default value: Bool = false) throws(GraphError) -> Bool {
        try int(name).map { $0 != 0 } ?? value
    }

    public func ints(_ name: String) throws(GraphError) -> [Int]? {
        switch node.attributes[name] {
        case nil: nil
        case .ints(let values): values
        case .floats(let values) where values.isEmpty: []
        default: throw .invalid("attribute '\(name)' must be a list of integers")
        }
    }

    public func float(_ name: String) throws(GraphError) -> Float? {
        switch node.attributes[name] {
        case nil: nil
        case .float(let value): value
        default: throw .invalid("attribute '\(name)' must be a float")
        }
    }

    public func float(_ name: String, default value: Float) throws(GraphError) -> Float { try float(name) ?? value }

    public func floats(_ name: String) throws(GraphError) -> [Float]? {
        switch node.attributes[name] {
        case nil: nil
        case .floats(let values): values
        case .ints(let values) where values.isEmpty: []
        default: throw .invalid("attribute '\(name)' must be a list of floats")
        }
    }

    public func strings(_ name: String) throws(GraphError) -> [String]? {
        switch node.attributes[name] {
        case nil: nil
        case .strings(let values): values
        case .ints(let values) where values.isEmpty: []
        default: throw .invalid("attribute '\(name)' must be a list of strings")
        }
    }

    public func string(_ name: String) throws(GraphError) -> String? {
        switch node.attributes[name] {
        case nil: nil
        case .string(let value): value
        default: throw .invalid("attribute '\(name)' must be a string")
        }
    }

    /// An attribute that names an element type by its number in the file.
    public func elementType(_ name: String) throws(GraphError) -> ONNXElementType? {
        guard let number = try int(name) else { return nil }
        guard let type = Int32(exactly: number).flatMap(ONNXElementType.init) else {
            throw .invalid("attribute '\(name)' = \(number) is no element type")
        }
        return type
    }

    /// `ints` attribute up to some version, input afterwards: how ONNX moved axes, shapes, splits and pads.
    public func intsFromAttributeOrInput(_ name: String, input index: Int) throws(GraphError) -> [Int]? {
        if let values = try ints(name) { return values }
        return try constantInts(index, name)
    }

    // MARK: Emitting

    public mutating func emit(_ operation: any Operation, _ inputs: ValueID...) throws(GraphError) -> ValueID {
        try builder.emitAll(operation, inputs)[0]
    }

    public mutating func constant(_ constant: Constant) -> ValueID { builder.addConstant(constant) }

    /// A float constant of shape [].
    public mutating func scalar(_ value: Float) -> ValueID { builder.addConstant(Constant([value], shape: [])) }
}

/// The axis in 0..<rank that a possibly negative ONNX axis means.
public func normalizedAxis(_ axis: Int, rank: Int) throws(GraphError) -> Int {
    guard (-rank..<max(rank, 1)).contains(axis) else {
        throw .invalid("axis \(axis) does not exist in a tensor of rank \(rank)")
    }
    return axis < 0 ? axis + rank : axis
}

/// `normalizedAxis` for several axes, in ascending order; duplicates are refused.
public func normalizedAxes(_ axes: [Int], rank: Int) throws(GraphError) -> [Int] {
    var result: [Int] = []
    for axis in axes { result.append(try normalizedAxis(axis, rank: rank)) }
    guard Set(result).count == result.count else { throw .invalid("axes \(axes) name an axis twice") }
    return result.sorted()
}
