import TensorGraph

/// ONNX's sequences of tensors, whose lengths and positions are known beforehand.
extension NodeExpander {
    mutating func sequence(_ kind: StructuralOperator, _ node: ImportedNode, _ inputs: [ModelValue?])
        throws(GraphError) -> ModelValue
    {
        switch kind {
        case .sequenceConstruct:
            var values: [ValueID] = []
            for index in inputs.indices { values.append(try tensor(index, inputs)) }
            return .sequence(values)
        case .sequenceEmpty: return .sequence([])
        case .splitToSequence: return .sequence(try split(node, inputs))
        default: break
        }
        guard case .sequence(var values)? = inputs.first else { throw .invalid("its input 0 is no sequence") }
        switch kind {
        case .sequenceAt:
            return .tensor(values[try place(try number(1, inputs, "position"), in: values.count)])
        case .sequenceInsert:
            let place = try number(2, inputs, "position").map { place throws(GraphError) in
                try self.place(place, in: values.count + 1, from: values.count)
            }
            values.insert(try tensor(1, inputs), at: place ?? values.count)
            return .sequence(values)
        case .sequenceErase:
            values.remove(at: try place(try number(1, inputs, "position") ?? -1, in: values.count))
            return .sequence(values)
        case .sequenceLength: return .tensor(builder.addConstant(Constant([Int64(values.count)], shape: [])))
        case .concatFromSequence: return .tensor(try concatenated(values, node))
        default: preconditionFailure("\(kind) is no operator on sequences")
        }
    }

    /// A position counted from the front, or from `end` backwards.
    private func place(_ position: Int?, in count: Int, from end: Int? = nil) throws(GraphError) -> Int {
        guard let position else { throw .invalid("its position is missing") }
        let place = position < 0 ? position + (end ?? count) : position
        guard 0..<count ~= place else {
            throw .invalid("position \(position) does not exist in a sequence of \(end ?? count)")
        }
        return place
    }

    private func int(_ name: String, of node: ImportedNode, default value: Int) -> Int {
        if case .int(let value)? = node.attributes[name] { value } else { value }
    }

    private mutating func concatenated(_ values: [ValueID], _ node: ImportedNode) throws(GraphError) -> ValueID {
        guard let first = values.first else {
            throw .unsupported("it joins an empty sequence, whose size is not known")
        }
        let isNew = int("new_axis", of: node, default: 0) != 0
        let rank = builder.shape(of: first).count + (isNew ? 1 : 0)
        let axis = try normalizedAxis(int("axis", of: node, default: 0), rank: rank)
        if axis == 0, let samples = try SampleLoop.joined(values, in: &builder) {
            let shape = builder.shape(of: samples)
            return isNew ? samples : try builder.view(samples, [shape[0] * shape[1]] + shape.dropFirst(2))
        }
        return isNew ? try stack(values, axis: axis) : try builder.concatenate(values, axis: axis)
    }

    /// Parts of a tensor: of the sizes in a list, of one size with a smaller rest, or single entries without their axis.
    private mutating func split(_ node: ImportedNode, _ inputs: [ModelValue?]) throws(GraphError) -> [ValueID] {
        let value = try tensor(0, inputs)
        let shape = builder.shape(of: value)
        let axis = try normalizedAxis(int("axis", of: node, default: 0), rank: shape.count)
        var sizes = [Int](repeating: 1, count: shape[axis])
        var dropsAxis = int("keepdims", of: node, default: 1) == 0
        if inputs.count > 1, inputs[1] != nil {
            dropsAxis = false
            let split = try tensor(1, inputs)
            guard let constant = builder.constant(split) else {
                _ = try number(split, "split")
                throw .unsupported("its split is computed from data; it must be known from the sizes alone")
            }
            sizes = constant.intValues
            if constant.type.rank == 0 {
                guard sizes[0] > 0 else { throw .invalid("it splits into parts of \(sizes[0]) entries") }
                sizes = stride(from: 0, to: shape[axis], by: sizes[0]).map { min(sizes[0], shape[axis] - $0) }
            }
        }
        guard sizes.allSatisfy({ $0 >= 0 }), sizes.reduce(0, +) == shape[axis] else {
            throw .invalid("parts of \(sizes) entries do not make up the \(shape[axis]) of axis \(axis)")
        }
        var parts: [ValueID] = []
        var start = 0
        for size in sizes {
            var part = try builder.slice(value, axis: axis, start..<start + size)
            start += size
            if dropsAxis {
                var kept = shape
                kept.remove(at: axis)
                part = try builder.view(part, kept)
            }
            parts.append(part)
        }
        return parts
    }

    /// ONNX `SequenceMap`: the body for each element; sequences give an element each, tensors themselves.
    mutating func sequenceMap(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        let body = try body("body", of: node)
        guard case .sequence(let first)? = inputs.first else { throw .invalid("its input 0 is no sequence") }
        var results = [[ValueID]](repeating: [], count: body.outputs.count)
        for index in first.indices {
            var arguments: [ModelValue?] = []
            for input in inputs {
                guard case .sequence(let values)? = input else {
                    arguments.append(input)
                    continue
                }
                guard values.count == first.count else { throw .invalid("its sequences have unequal lengths") }
                arguments.append(.tensor(values[index]))
            }
            let outputs = try run(body, arguments, in: scope, node, run: "\(index)", path: path)
            for number in results.indices { results[number].append(try tensor(number, outputs)) }
        }
        return results.map { .sequence($0) }
    }
}
