public import Operators

extension Exporter {
    /// What a tensor was computed from where one module reads it, if it was merged with equal tensors that other modules
    /// read: the parameters of that module in place of those of another.
    ///
    /// - Parameters:
    ///   - names: what the exporter says that the merged tensor was computed from.
    ///   - module: the module; nil if it is not known.
    ///   - readers: all modules that read the merged tensor.
    public func sources(_ names: [String], in module: String?, among readers: [String]) -> [String] {
        guard let module else { return names }
        return names.map { name in
            guard let other = readers.first(where: { !$0.isEmpty && name.hasPrefix($0 + ".") }) else { return name }
            let counterpart = module + name.dropFirst(other.count)
            return kind(ofTarget: counterpart) == nil ? name : counterpart
        }
    }
}
