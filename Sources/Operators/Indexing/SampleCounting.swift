import Kernels
public import TensorGraph

// How indices that count samples (`SampleOffset`) pass through operations, up to the lookups that they are made for.

extension Binary: CountingOperation {
    /// Sums: a sample's own index plus its number times a stride, as in a table flattened over samples.
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        guard function == .add else { return nil }
        for (index, operand) in operands.enumerated() {
            let other = operands[1 - index].value
            if let offset = operand.offset, offset.parts.count == 1, builder.graph[other].batch != .mixed {
                let own = try builder.emit(self, offset.parts[0].own, other)
                return .offset(SampleOffset([SampleOffset.Part(own: own, stride: offset.parts[0].stride)]))
            }
            guard var factor = builder.graph[operand.value].batch.factor else { continue }
            factor.axis += builder.shape(of: other).count - builder.shape(of: operand.value).count
            guard let part = builder.offset(of: other, along: factor), part.stride != 0 else { continue }
            let own = try builder.emit(self, operand.value, part.own)
            return .offset(SampleOffset([SampleOffset.Part(own: own, stride: part.stride)]))
        }
        return nil
    }
}

extension View: CountingOperation {
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        guard let offset = operands[0].offset else { return nil }
        guard offset.parts.count > 1 else {
            let own = try builder.view(offset.parts[0].own, shape)
            return .offset(SampleOffset([SampleOffset.Part(own: own, stride: offset.parts[0].stride)]))
        }
        guard shape.last == builder.shape(of: operands[0].value).last else { return nil }
        var parts: [SampleOffset.Part] = []
        for part in offset.parts {
            let width = builder.shape(of: part.own).last!
            let own = try builder.view(part.own, shape.dropLast() + [width])
            parts.append(SampleOffset.Part(own: own, stride: part.stride))
        }
        return .offset(SampleOffset(parts))
    }
}

extension Concatenation: CountingOperation {
    /// Coordinates joined to tuples: the sample's number beside its own indices.
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        guard axis == builder.shape(of: operands[0].value).count - 1 else { return nil }
        let factors = operands.compactMap { operand in
            operand.offset.map { builder.graph[$0.parts[0].own].batch.factor }
                ?? builder.graph[operand.value].batch.factor
        }
        guard let factor = factors.first, factor.axis != axis else { return nil }
        var parts: [SampleOffset.Part] = []
        for operand in operands {
            if let offset = operand.offset {
                parts += offset.parts
            } else if builder.graph[operand.value].batch == .factor(factor) {
                parts.append(SampleOffset.Part(own: operand.value, stride: 0))
            } else if let part = builder.offset(of: operand.value, along: factor) {
                parts.append(part)
            } else {
                return nil
            }
        }
        return parts.contains { $0.stride != 0 } ? .offset(SampleOffset(parts)) : nil
    }
}

extension Gathering: CountingOperation {
    /// Rows of a table [B * n, ...] at b * n + i: row i of the sample's own n. An index outside of 0..<n is no entry,
    /// also where it would be one of another sample.
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        let data = operands[0].value
        guard axis == 0, let part = operands[1].offset?.parts.first, operands[1].offset?.parts.count == 1,
            let factor = builder.graph[data].batch.factor, factor.axis == 0, factor.outer == 1,
            part.stride == factor.inner, hasSamplesFirst(part.own, in: builder)
        else { return nil }
        let rows = builder.addConstant(Constant([Int64(factor.inner)], shape: []))
        let isNegative = try builder.compare(.less, part.own, builder.addConstant(Constant([Int64(0)], shape: [])))
        let index = try builder.select(isNegative, rows, part.own)
        let apart = try builder.view(data, [builder.batchSize, factor.inner] + builder.shape(of: data).dropFirst())
        let tuples = try builder.view(index, builder.shape(of: index) + [1])
        return .own(try builder.emit(TupleGathering(sharedAxes: 1), apart, tuples))
    }
}

extension TupleGathering: CountingOperation {
    /// Entries at (b, i, ...): entry (i, ...) of the sample's own slice.
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        guard sharedAxes == 0, let tuples = try ownTuples(operands, in: &builder) else { return nil }
        return .own(try builder.emit(TupleGathering(sharedAxes: 1), operands[0].value, tuples))
    }
}

extension TupleScattering: CountingOperation {
    /// Updates at (b, i, ...): changes of entry (i, ...) of the sample's own slice.
    public func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError)
        -> CountedResult?
    {
        guard sharedAxes == 0, hasSamplesFirst(operands[2].value, in: builder),
            let tuples = try ownTuples(operands, in: &builder)
        else { return nil }
        let scattering = TupleScattering(sharedAxes: 1, reduction)
        return .own(try builder.emit(scattering, operands[0].value, tuples, operands[2].value))
    }
}

/// Coordinates within a sample's own slice of the first operand, if the second one's tuples are its number and those.
private func ownTuples(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
    guard let parts = operands[1].offset?.parts, parts.count > 1, parts[0].stride == 1,
        parts.dropFirst().allSatisfy({ $0.stride == 0 && hasSamplesFirst($0.own, in: builder) }),
        builder.shape(of: parts[0].own).last == 1,
        builder.constant(parts[0].own)?.int64Values.allSatisfy({ $0 == 0 }) == true,
        hasSamplesFirst(operands[0].value, in: builder)
    else { return nil }
    let rest = parts.dropFirst().map(\.own)
    return try builder.concatenate(rest, axis: builder.shape(of: operands[1].value).count - 1)
}

private func hasSamplesFirst(_ value: ValueID, in builder: GraphBuilder) -> Bool {
    builder.graph[value].batch.factor == BatchFactor(axis: 0)
}
