extension DataSet {
    /// Binds the arrays of a file to a graph's inputs and to the targets.
    ///
    /// 1. An array named like an input feeds that input; the array named `target` holds the targets.
    /// 2. If the model has exactly one input and the file has no array of its name:
    ///    - .npy: its array feeds the input;
    ///    - idx: `images` feed the input, reshaped from [N, r, c] to [N, r * c] if a sample has rank 1 there and to
    ///      [N, 1, r, c] if it has rank 3;
    ///    - .csv: all columns but the target's (and that of the groups), in the order of the file, form one [N, k]
    ///      array that feeds it. A target is left out even when it is not required.
    /// 3. A CSV column [N] that feeds an input with samples of rank 1 is taken as [N, 1].
    /// 4. Nothing else is guessed. Arrays that nobody asks for are not read.
    ///
    /// - Parameters:
    ///   - inputs: the graph's inputs; their sample shapes are checked where they are known.
    ///   - target: key of the targets.
    ///   - requiresTarget: whether missing targets are an error (training, evaluation) or not (running).
    ///   - groupKey: the array by which rows are grouped into samples; nil if every row is one.
    /// - Throws: `DataError` for a missing key, a shape that does not fit, differing first axes, or no rows.
    public init(
        _ file: ArrayFile, inputs: [InputSlot], target: String = "labels", requiresTarget: Bool = true,
        groupKey: String? = nil
    ) throws(DataError) {
        var bound: [NamedArray] = []
        for slot in inputs {
            let array = try file.inputArray(
                slot, isOnly: inputs.count == 1, excluding: [target] + (groupKey.map { [$0] } ?? []))
            try array.checkSamples(fit: slot)
            bound.append(array)
        }
        let hasTarget = file.keys.contains(target)
        let bindsTarget = hasTarget || requiresTarget
        for key in [bindsTarget ? target : nil, groupKey].compactMap({ $0 }) where file.format == .npy {
            throw DataError(
                .mismatch, "holds one array and no \(quoted(key)); put both into an .npz under their names",
                at: DataError.Place(file: file.path))
        }
        if bindsTarget, !bound.contains(where: { $0.name == target }) { bound.append(try file.array(target)) }
        let groups: RowGroups? = if let groupKey { try file.groups(by: groupKey) } else { nil }
        try self.init(arrays: bound, targetKey: bindsTarget ? target : nil, groups: groups)
    }
}

extension ArrayFile {
    fileprivate func inputArray(
        _ slot: DataSet.InputSlot, isOnly: Bool, excluding others: [String]
    ) throws(DataError) -> NamedArray {
        if keys.contains(slot.name) {
            let array = try array(slot.name)
            if format == .idx { return array.imagesFitted(toRank: slot.sampleShape?.count) }
            guard format == .csv, array.shape.count == 1, slot.sampleShape?.count == 1 else { return array }
            return array.reshaped(to: [array.rowCount, 1])
        }
        switch contents {
        case _ where !isOnly: break
        case .arrays(let arrays):
            let key = format == .npy ? ArrayFile.anonymousKey : "images"
            guard let array = arrays[key] else { break }
            let named = array.renamed(to: slot.name)
            return format == .idx ? named.imagesFitted(toRank: slot.sampleShape?.count) : named
        case .csv(let table, let columns):
            let excluded = Set(columns.groups.filter { others.contains($0.name) }.flatMap(\.columns))
            let rest = table.columns.indices.filter { !excluded.contains($0) }
            if rest.isEmpty { break }
            let asVector = slot.sampleShape?.isEmpty == true && rest.count == 1
            return try table.array(name: slot.name, columns: rest, asVector: asVector)
        case .npz, .safetensors: break
        }
        throw DataError(
            .mismatch, "has no array for input \(quoted(slot.name)); it holds \(quotedList(keys))",
            at: DataError.Place(file: path))
    }
}

extension NamedArray {
    /// Images [N, r, c] as samples of the given rank: [r * c], [r, c] or [1, r, c].
    fileprivate func imagesFitted(toRank rank: Int?) -> NamedArray {
        guard shape.count == 3 else { return self }
        switch rank {
        case 1: return reshaped(to: [shape[0], shape[1] * shape[2]])
        case 3: return reshaped(to: [shape[0], 1, shape[1], shape[2]])
        default: return self
        }
    }

    fileprivate func checkSamples(fit slot: DataSet.InputSlot) throws(DataError) {
        guard let wanted = slot.sampleShape, !shape.isEmpty else { return }
        let fits = wanted.count == rowShape.count && zip(wanted, rowShape).allSatisfy { $0 == nil || $0 == $1 }
        if fits { return }
        let pattern = (["N"] + wanted.map { $0.map(String.init) ?? "?" }).joined(separator: ", ")
        throw DataError(
            .mismatch, "has shape \(shape) where input \(quoted(slot.name)) needs [\(pattern)]", at: place)
    }
}
