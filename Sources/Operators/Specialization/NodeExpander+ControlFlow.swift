import TensorGraph

/// Control flow whose way is known beforehand: the chosen branch, or as many copies of a body as it has runs.
extension NodeExpander {
    private static let mostRuns = 1 << 16

    /// Expands a body that reads the names around it.
    /// - Parameter run: tells runs of one node apart.
    mutating func run(
        _ body: ImportedGraph, _ inputs: [ModelValue?], in scope: NameScope, _ node: ImportedNode, run: String,
        path: String
    ) throws(GraphError) -> [ModelValue] {
        let inner = NameScope(inside: scope)
        let place = "\(path)\(node.name) \(run)\n"
        guard inputs.count == body.inputs.count else {
            throw .invalid("its graph '\(body.name)' has \(body.inputs.count) inputs, not \(inputs.count)")
        }
        for (port, value) in zip(body.inputs, inputs) {
            inner[port.name] = value
            if let value = value?.tensor { note(place + port.name, value) }
        }
        for initializer in body.initializers {
            let constant: Constant
            do {
                constant = try initializer.load()
            } catch {
                throw error as? GraphError ?? .invalid("its initializer '\(initializer.name)' cannot be read: \(error)")
            }
            let value = builder.addConstant(constant)
            inner[initializer.name] = .tensor(value)
            note(place + initializer.name, value)
        }
        try expand(body.neededNodes, in: inner, path: place)
        builder.origin = node.origin
        var outputs: [ModelValue] = []
        for output in body.outputs {
            guard let value = inner[output.name] else {
                throw .invalid("its graph '\(body.name)' does not compute '\(output.name)'")
            }
            outputs.append(value)
        }
        return outputs
    }

    /// ONNX `If`: the branch that is taken.
    mutating func conditional(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        let condition = try number(try tensor(0, inputs), "condition") != 0
        let branch = condition ? "then_branch" : "else_branch"
        let outputs = try run(try body(branch, of: node), [], in: scope, node, run: branch, path: path)
        decided(condition ? 1 : 0, "its condition", node, path, outputs)
        return outputs
    }

    /// ONNX `Loop`: one copy of the body for each run. Inputs: the largest number of runs, a condition, and what is
    /// carried from run to run; what the body returns beyond that is collected on a new first axis.
    mutating func loop(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        let body = try body("body", of: node)
        let most = try number(0, inputs, "number of runs")
        let isConditional = inputs.count > 1 && inputs[1] != nil
        var goesOn = try number(1, inputs, "condition") != 0
        var carried = Array(inputs.dropFirst(2))
        guard body.inputs.count == carried.count + 2, body.outputs.count > carried.count else {
            throw .invalid("its body does not take and return \(carried.count) values from run to run")
        }
        var collected = [[ValueID]](repeating: [], count: body.outputs.count - 1 - carried.count)
        var count = 0
        while goesOn, most.map({ count < $0 }) ?? true {
            guard count < Self.mostRuns else {
                throw .unsupported("it runs more than \(Self.mostRuns) times, too often to be written out")
            }
            let number = builder.addConstant(Constant([Int64(count)], shape: []))
            let condition = builder.addConstant(Constant([true], shape: []))
            let outputs = try run(
                body, [.tensor(number), .tensor(condition)] + carried, in: scope, node, run: "\(count)", path: path)
            if isConditional { goesOn = try self.number(try tensor(0, outputs), "condition") != 0 }
            carried = Array(outputs.dropFirst().prefix(carried.count))
            for index in collected.indices { collected[index].append(try tensor(1 + carried.count + index, outputs)) }
            count += 1
        }
        var results: [ModelValue] = []
        for value in carried {
            guard let value else { throw .invalid("a value carried from run to run is missing") }
            results.append(value)
        }
        // Runs that are the samples are as many as those.
        var dependent = results
        for (index, values) in collected.enumerated() {
            if let samples = try SampleLoop.joined(values, in: &builder) {
                results.append(.tensor(samples))
                continue
            }
            let port = body.outputs[1 + carried.count + index]
            let value = ModelValue.tensor(try stacked(values, axis: 0, isReversed: false, port))
            results.append(value)
            dependent.append(value)
        }
        decided(count, "its number of runs", node, path, dependent)
        return results
    }

    /// ONNX `Scan`: one copy of the body for each entry of the scanned axes. Before version 9 inputs had the batch on
    /// their first axis, and steps on the next.
    mutating func scan(
        _ node: ImportedNode, _ inputs: [ModelValue?], _ scope: NameScope, _ path: String
    ) throws(GraphError) -> [ModelValue] {
        let body = try body("body", of: node)
        guard case .int(let scanned)? = node.attributes["num_scan_inputs"] else {
            throw .invalid("attribute 'num_scan_inputs' is missing")
        }
        if node.opsetVersion >= 9 {
            var values: [ValueID] = []
            for index in inputs.indices { values.append(try tensor(index, inputs)) }
            guard 1...max(values.count, 1) ~= scanned, values.count == body.inputs.count else {
                throw .invalid("it does not have as many inputs as its body")
            }
            let plan = try ScanPlan(node, states: values.count - scanned, scanned, body.outputs.count)
            return try scan(plan, body, values, node, scope, path).map { .tensor($0) }
        }
        guard inputs.count > scanned, inputs[0] == nil else {
            throw .unsupported("sequences of several lengths are not scanned before version 9; omit sequence_lens")
        }
        return try scanOfBatch(node, body, scanned, inputs, scope, path)
    }

    private mutating func scanOfBatch(
        _ node: ImportedNode, _ body: ImportedGraph, _ scanned: Int, _ inputs: [ModelValue?], _ scope: NameScope,
        _ path: String
    ) throws(GraphError) -> [ModelValue] {
        var plan = try ScanPlan(node, states: inputs.count - 1 - scanned, scanned, body.outputs.count)
        if case .ints(let directions)? = node.attributes["directions"] { plan.inputDirections = directions }
        var results = [[ValueID]](repeating: [], count: body.outputs.count)
        for sequence in 0..<builder.shape(of: try tensor(1, inputs))[0] {
            var own: [ValueID] = []
            for index in 1..<inputs.count {
                own.append(try entry(sequence, of: try tensor(index, inputs), axis: 0))
            }
            let outputs = try scan(plan, body, own, node, scope, "\(path)\(node.name) sequence \(sequence)\n")
            for (index, output) in outputs.enumerated() { results[index].append(output) }
        }
        var stacks: [ModelValue] = []
        for (index, values) in results.enumerated() {
            stacks.append(.tensor(try stacked(values, axis: 0, isReversed: false, body.outputs[index])))
        }
        return stacks
    }

    private mutating func scan(
        _ plan: ScanPlan, _ body: ImportedGraph, _ inputs: [ValueID], _ node: ImportedNode, _ scope: NameScope,
        _ path: String
    ) throws(GraphError) -> [ValueID] {
        var axes: [Int] = []
        var steps: Int?
        for (index, value) in inputs.dropFirst(plan.states).enumerated() {
            let shape = builder.shape(of: value)
            let axis = try normalizedAxis(plan.inputAxes[index], rank: shape.count)
            axes.append(axis)
            guard steps == nil || steps == shape[axis] else {
                throw .invalid("its inputs have unequal numbers of steps")
            }
            steps = shape[axis]
        }
        var states = Array(inputs.prefix(plan.states))
        var collected = [[ValueID]](repeating: [], count: plan.outputAxes.count)
        for step in 0..<(steps ?? 0) {
            var arguments = states.map { ModelValue?.some(.tensor($0)) }
            for (index, value) in inputs.dropFirst(plan.states).enumerated() {
                let place = plan.inputDirections[index] == 0 ? step : steps! - 1 - step
                arguments.append(.tensor(try entry(place, of: value, axis: axes[index])))
            }
            let outputs = try run(body, arguments, in: scope, node, run: "\(step)", path: path)
            for index in states.indices { states[index] = try tensor(index, outputs) }
            for index in collected.indices { collected[index].append(try tensor(plan.states + index, outputs)) }
        }
        var results = states
        for (index, values) in collected.enumerated() {
            results.append(
                try stacked(
                    values, axis: plan.outputAxes[index], isReversed: plan.outputDirections[index] != 0,
                    body.outputs[plan.states + index]))
        }
        decided(steps ?? 0, "its number of steps", node, path, results.map { .tensor($0) })
        return results
    }

    // MARK: Entries of an axis

    private mutating func entry(_ index: Int, of value: ValueID, axis: Int) throws(GraphError) -> ValueID {
        var shape = builder.shape(of: value)
        let own = try builder.slice(value, axis: axis, index..<index + 1)
        shape.remove(at: axis)
        return try builder.view(own, shape)
    }

    /// Values of one shape joined along a new axis.
    /// - Parameter port: says how large the values would be if there are none.
    func emptyShape(_ port: ImportedGraph.Port) throws(GraphError) -> [Int] {
        var shape: [Int] = []
        for dimension in port.dimensions ?? [.unknown] {
            guard case .fixed(let size) = dimension else {
                throw .unsupported("it never runs, and the model does not say how large '\(port.name)' would be")
            }
            shape.append(size)
        }
        return shape
    }

    private mutating func stacked(
        _ values: [ValueID], axis: Int, isReversed: Bool, _ port: ImportedGraph.Port
    ) throws(GraphError) -> ValueID {
        guard let first = values.first else {
            var shape = try emptyShape(port)
            shape.insert(0, at: try normalizedAxis(axis, rank: shape.count + 1))
            return builder.addConstant(Constant(TensorType(port.dataType.storage ?? .float32, shape)) { _ in })
        }
        let axis = try normalizedAxis(axis, rank: builder.shape(of: first).count + 1)
        return try stack(isReversed ? values.reversed() : values, axis: axis)
    }

    mutating func stack(_ values: [ValueID], axis: Int) throws(GraphError) -> ValueID {
        var parts: [ValueID] = []
        for value in values {
            var shape = builder.shape(of: value)
            shape.insert(1, at: axis)
            parts.append(try builder.view(value, shape))
        }
        return try builder.concatenate(parts, axis: axis)
    }
}

/// Axes and directions of a `Scan`: forward is 0, backward 1.
private struct ScanPlan {
    let states: Int
    var inputAxes: [Int]
    var inputDirections: [Int]
    var outputAxes: [Int]
    var outputDirections: [Int]

    init(_ node: ImportedNode, states: Int, _ scanned: Int, _ outputs: Int) throws(GraphError) {
        guard states >= 0, outputs >= states else { throw .invalid("its body returns fewer values than it carries") }
        self.states = states
        func list(_ name: String, _ count: Int) throws(GraphError) -> [Int] {
            guard case .ints(let values)? = node.attributes[name] else { return [Int](repeating: 0, count: count) }
            guard values.count == count else { throw .invalid("attribute '\(name)' does not hold \(count) numbers") }
            return values
        }
        inputAxes = try list("scan_input_axes", scanned)
        inputDirections = try list("scan_input_directions", scanned)
        outputAxes = try list("scan_output_axes", outputs - states)
        outputDirections = try list("scan_output_directions", outputs - states)
    }
}
