import COnnxProto

/// Checks of a graph or function body and of the subgraphs in it: every name is defined once in its graph and before it
/// is read (so there are no cycles), attributes and declared types are complete.
///
/// A subgraph may read names of the graphs around it, as far as those are defined before the node that holds it.
struct NameCheck {
    /// The operator or function that a node asks for.
    struct Operator: Hashable {
        let domain: String
        let name: String
        let overload: String
    }

    /// Prefix of every place.
    private let file: String
    private let isFunction: Bool
    /// One entry for each node seen, in subgraphs too.
    private(set) var operators: [Operator] = []

    init(file: String, function: UnsafePointer<Onnx__FunctionProto>?) {
        self.file = function.map { "\(file), function '\(text($0.pointee.name))'" } ?? file
        isFunction = function != nil
    }

    mutating func run(_ function: UnsafePointer<Onnx__FunctionProto>) throws(ONNXFormatError) {
        let body = function.pointee
        var defined: Set<String> = []
        for name in texts(body.input, body.n_input) where !defined.insert(name).inserted {
            throw malformed("input '\(name)' occurs twice")
        }
        for attribute in messages(body.attribute_proto, body.n_attribute_proto) {
            try check(attribute, at: file, scopes: [])
        }
        for value in messages(body.value_info, body.n_value_info) { try checkType(of: value) }
        try check(messages(body.node, body.n_node), &defined, outer: [])
        for name in texts(body.output, body.n_output) where !defined.contains(name) {
            throw malformed("output '\(name)' is made by no node")
        }
    }

    mutating func run(
        _ pointer: UnsafePointer<Onnx__GraphProto>, outer: [Set<String>]
    ) throws(ONNXFormatError) {
        let graph = pointer.pointee
        var defined: Set<String> = []
        for input in messages(graph.input, graph.n_input) {
            let name = text(input.pointee.name)
            guard !name.isEmpty else { throw malformed("a graph input has no name") }
            guard defined.insert(name).inserted else { throw malformed("graph input '\(name)' occurs twice") }
            try checkType(of: input)
        }
        var initializers: Set<String> = []
        for tensor in messages(graph.initializer, graph.n_initializer) {
            try add(text(tensor.pointee.name), to: &initializers)
        }
        for sparse in messages(graph.sparse_initializer, graph.n_sparse_initializer) {
            try check(sparse, at: "\(file), sparse initializer '\(text(sparse.pointee.values?.pointee.name))'")
            try add(text(sparse.pointee.values.pointee.name), to: &initializers)
        }
        // An initializer that has the name of an input is that input's default value.
        defined.formUnion(initializers)
        for value in messages(graph.value_info, graph.n_value_info) { try checkType(of: value) }
        try check(messages(graph.node, graph.n_node), &defined, outer: outer)
        for output in messages(graph.output, graph.n_output) {
            let name = text(output.pointee.name)
            guard defined.contains(name) || outer.contains(where: { $0.contains(name) }) else {
                throw malformed("graph output '\(name)' is made by no node")
            }
            try checkType(of: output)
        }
    }

    private func add(_ name: String, to initializers: inout Set<String>) throws(ONNXFormatError) {
        guard !name.isEmpty else { throw malformed("an initializer has no name") }
        guard initializers.insert(name).inserted else { throw malformed("initializer '\(name)' occurs twice") }
    }

    private mutating func check(
        _ nodes: [UnsafePointer<Onnx__NodeProto>], _ defined: inout Set<String>, outer: [Set<String>]
    ) throws(ONNXFormatError) {
        for (index, node) in nodes.enumerated() {
            let message = node.pointee
            let operation = text(message.op_type)
            guard !operation.isEmpty else { throw malformed("\(describe(node)) has no op_type") }
            operators.append(
                Operator(
                    domain: standardised(text(message.domain)), name: operation, overload: text(message.overload)))
            for name in texts(message.input, message.n_input)
            where !name.isEmpty && !defined.contains(name) && !outer.contains(where: { $0.contains(name) }) {
                throw undefined(name, readBy: node, later: nodes[index...])
            }
            if message.n_attribute > 0 {
                var names: Set<String> = []
                for attribute in messages(message.attribute, message.n_attribute) {
                    let name = text(attribute.pointee.name)
                    guard names.insert(name).inserted else {
                        throw malformed("\(describe(node)) has attribute '\(name)' twice")
                    }
                    try check(attribute, at: "\(file), \(describe(node))", scopes: outer + [defined])
                }
            }
            for name in texts(message.output, message.n_output)
            where !name.isEmpty && !defined.insert(name).inserted {
                throw malformed("\(describe(node)) makes '\(name)', which exists already; names must be unique")
            }
        }
    }

    private mutating func check(
        _ pointer: UnsafePointer<Onnx__AttributeProto>, at place: String, scopes: [Set<String>]
    ) throws(ONNXFormatError) {
        let attribute = pointer.pointee
        let name = text(attribute.name)
        guard !name.isEmpty else { throw ONNXFormatError(.malformed, "an attribute has no name", at: place) }
        let reference = text(attribute.ref_attr_name)
        guard reference.isEmpty else {
            if isFunction { return }
            throw ONNXFormatError(
                .malformed, "attribute '\(name)' refers to '\(reference)', but stands outside a function", at: place)
        }
        guard AttributeKind(attribute) != nil else {
            throw ONNXFormatError(.malformed, "attribute '\(name)' has no value of its type", at: place)
        }
        if let sparse = attribute.sparse_tensor { try check(UnsafePointer(sparse), at: place) }
        for sparse in messages(attribute.sparse_tensors, attribute.n_sparse_tensors) { try check(sparse, at: place) }
        if let graph = attribute.g { try run(UnsafePointer(graph), outer: scopes) }
        for graph in messages(attribute.graphs, attribute.n_graphs) { try run(graph, outer: scopes) }
    }

    private func check(
        _ pointer: UnsafePointer<Onnx__SparseTensorProto>, at place: String
    ) throws(ONNXFormatError) {
        let sparse = pointer.pointee
        guard let values = sparse.values?.pointee, let indices = sparse.indices?.pointee else {
            throw ONNXFormatError(.malformed, "the sparse tensor lacks values or indices", at: place)
        }
        let dimensions = UnsafeBufferPointer(start: sparse.dims, count: sparse.n_dims)
        _ = try TensorStorage.elementCount(dimensions, type: .uint8, at: place)
        let indexShape = Array(UnsafeBufferPointer(start: indices.dims, count: indices.n_dims))
        guard values.n_dims == 1, indices.data_type == ONNXElementType.int64.rawValue,
            indexShape == [values.dims[0]] || indexShape == [values.dims[0], Int64(dimensions.count)]
        else {
            throw ONNXFormatError(
                .malformed, "a sparse tensor needs values [count] and int64 indices [count] or [count, rank]", at: place
            )
        }
    }

    private func checkType(of pointer: UnsafePointer<Onnx__ValueInfoProto>) throws(ONNXFormatError) {
        var type = ONNXType(pointer.pointee.type)
        while true {
            switch type {
            case .sequence(let element), .optional(let element), .map(_, let element): type = element
            case .tensor(_, let shape), .sparseTensor(_, let shape):
                let fixed = (shape ?? []).compactMap { if case .fixed(let size) = $0 { Int64(size) } else { nil } }
                let place = "\(file), value '\(text(pointer.pointee.name))'"
                _ = try fixed.withUnsafeBufferPointer { fixed in
                    Result { () throws(ONNXFormatError) in
                        try TensorStorage.elementCount(fixed, type: .uint8, at: place)
                    }
                }.get()
                return
            case .opaque, .unspecified: return
            }
        }
    }

    private func undefined(
        _ name: String, readBy node: UnsafePointer<Onnx__NodeProto>, later: ArraySlice<UnsafePointer<Onnx__NodeProto>>
    ) -> ONNXFormatError {
        let maker = later.first { texts($0.pointee.output, $0.pointee.n_output).contains(name) }
        guard let maker else { return malformed("\(describe(node)) reads '\(name)', which nothing makes") }
        if maker == node { return malformed("\(describe(node)) reads '\(name)', which it makes itself: a cycle") }
        return malformed(
            "\(describe(node)) reads '\(name)' before \(describe(maker)) makes it; there is a cycle, or the nodes are "
                + "not in topological order")
    }

    private func malformed(_ message: String) -> ONNXFormatError {
        ONNXFormatError(.malformed, message, at: file)
    }
}
